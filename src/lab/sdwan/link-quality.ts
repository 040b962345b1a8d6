/**
 * Rate limits, delay, jitter and loss of the tunnels, by the kernel's traffic control. What this kernel can't do is said, never pretended.
 */
import { endsOf, type LabPlan, type TunnelPlan } from "../lab-plan.ts";
import { run } from "../node-agent/run-command.ts";

/** A quality that a tunnel was to have and doesn't. */
export interface NotApplied {
  readonly tunnel: string;
  readonly quality: "rate" | "delay, jitter, loss";
  /** What the kernel said. */
  readonly reason: string;
}

/** Arguments of `tc qdisc add dev <interface>` for a tunnel: at most one for delay, jitter and loss, then one for the rate. Pure. */
export function queueDisciplines(tunnel: TunnelPlan): { quality: NotApplied["quality"]; words: string[] }[] {
  const { rateMbit, delayMs = 0, jitterMs = 0, lossPercent = 0 } = tunnel;
  const impaired = delayMs > 0 || jitterMs > 0 || lossPercent > 0;
  const netem = [
    "root",
    "handle",
    "1:",
    "netem",
    "limit",
    "10000",
    "delay",
    `${delayMs}ms`,
    `${jitterMs}ms`,
    "loss",
    `${lossPercent}%`,
  ];
  const burst = Math.max(64, Math.ceil((rateMbit ?? 0) * 1.25));
  const tbf = [
    "handle",
    "2:",
    "tbf",
    "rate",
    `${rateMbit ?? 0}mbit`,
    "burst",
    `${burst}kb`,
    "latency",
    "100ms",
  ];
  return [
    ...(impaired ? [{ quality: "delay, jitter, loss" as const, words: netem }] : []),
    ...(rateMbit === undefined
      ? []
      : [{ quality: "rate" as const, words: [...(impaired ? ["parent", "1:"] : ["root"]), ...tbf] }]),
  ];
}

/** Applies the tunnels' qualities to both ends of every link. Gives what could not be applied. */
export async function applyLinkQuality(plan: LabPlan): Promise<NotApplied[]> {
  const missing = new Map<string, NotApplied>();
  for (const { id } of plan.clusters) {
    for (const end of endsOf(plan, id)) {
      const tunnel = plan.tunnels.find(({ name }) => name === end.tunnel);
      for (const { quality, words } of tunnel === undefined ? [] : queueDisciplines(tunnel)) {
        const wanted = missing.has(`${end.tunnel} delay, jitter, loss`)
          ? ["root", ...words.slice(words.indexOf("handle"))]
          : words;
        try {
          await run(["tc", "-n", id, "qdisc", "add", "dev", end.interface, ...wanted]);
        } catch (error) {
          const reason = error instanceof Error ? error.message : String(error);
          missing.set(`${end.tunnel} ${quality}`, { tunnel: end.tunnel, quality, reason });
        }
      }
    }
  }
  return [...missing.values()];
}
