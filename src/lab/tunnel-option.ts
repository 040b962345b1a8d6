/** The text form of a tunnel, as `business,rate=100,delay=20,jitter=2,loss=0.1`, and of a quality alone. Pure. */
import { CONTROL_PLANE } from "./address-plan.ts";
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
  if (name === CONTROL_PLANE) return `"${name}" is the name of the links between API servers.`;
  const quality = parseQuality(settings);
  if (typeof quality === "string") return quality;
  return quality.rateMbit === 0 ? "rate is more than 0." : { name, ...quality };
}

/** The quality that settings as `delay=20` describe, 0 for no limit, or a sentence that says what is wrong with them. */
export function parseQuality(settings: readonly string[]): TunnelQuality | string {
  const quality: { -readonly [Field in keyof TunnelQuality]: TunnelQuality[Field] } = {};
  for (const setting of settings) {
    const [key = "", value = ""] = setting.split("=");
    const known = QUALITIES[key];
    if (known === undefined) return `"${key}" is none of ${Object.keys(QUALITIES).join(", ")}.`;
    const number = value === "" ? NaN : Number(value);
    if (!(number >= 0 && number <= known.most)) return `${key} is a number up to ${known.most}.`;
    quality[known.field] = number;
  }
  return quality;
}
