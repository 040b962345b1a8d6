/** The text form of a tunnel, as `business,rate=100,delay=20,jitter=2,loss=0.1`. Pure. */
import type { TunnelPlan, TunnelQuality } from "./lab-plan.ts";

const QUALITIES: Readonly<Record<string, { field: keyof TunnelQuality; most: number }>> = {
  rate: { field: "rateMbit", most: 100_000 },
  delay: { field: "delayMs", most: 10_000 },
  jitter: { field: "jitterMs", most: 10_000 },
  loss: { field: "lossPercent", most: 100 },
};

/** The tunnel that a text describes, or a sentence that says what is wrong with it. */
export function parseTunnel(text: string): TunnelPlan | string {
  const [name = "", ...settings] = text.split(",");
  if (!/^[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?$/.test(name))
    return `"${name}" can't be a tunnel's name.`;
  const quality: { -readonly [Field in keyof TunnelQuality]: TunnelQuality[Field] } = {};
  for (const setting of settings) {
    const [key = "", value = ""] = setting.split("=");
    const known = QUALITIES[key];
    if (known === undefined) return `"${key}" is none of ${Object.keys(QUALITIES).join(", ")}.`;
    const number = value === "" ? NaN : Number(value);
    if (!(number >= 0 && number <= known.most) || (key === "rate" && number === 0))
      return `${key} is a number up to ${known.most}.`;
    quality[known.field] = number;
  }
  return { name, ...quality };
}
