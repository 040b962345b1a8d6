/**
 * By which means a direction of a link gets its quality on this machine. Pure; inside/links.ts does it. What can't be done is said, never
 * pretended.
 *
 *     rate: tbf at the sender │ delay, jitter, loss: netem at the sender, else the user-space wire, else loss by the receiver's packet filter
 *     cut: the receiver's packet filter
 */
import type { TunnelQuality } from "../lab-plan.ts";
import type { LinkDirection } from "./link-change.ts";

/** A quality of a link. */
export type Quality = "rate" | "delay" | "jitter" | "loss" | "cut";

/** What applies it. `nft` is the packet filter. */
export type Means = "tbf" | "netem" | "wire" | "nft";

/** A quality that a direction was to have and doesn't. */
export interface NotApplied {
  readonly quality: Quality;
  /** One line. */
  readonly reason: string;
}

/** A direction as it is. */
export interface LinkStatus extends LinkDirection {
  readonly appliedBy: Readonly<Partial<Record<Quality, Means>>>;
  readonly notApplied: readonly NotApplied[];
}

/** What this machine can't do, and why; undefined: it can. */
export interface Lacks {
  readonly netem: string | undefined;
  readonly wire: string | undefined;
}

/** How a direction is made. */
export interface DirectionMeans {
  /** Queueing disciplines of the sender's interface, in order: kind, then arguments of `tc qdisc`. */
  readonly disciplines: readonly { readonly kind: "netem" | "tbf"; readonly words: string }[];
  /** What the receiver's packet filter drops. */
  readonly dropPercent: number;
  readonly appliedBy: LinkStatus["appliedBy"];
  readonly notApplied: readonly NotApplied[];
}

/** Whether a link has to go through the user-space wire: both directions of it do, or none. */
export function needsWire(directions: readonly LinkDirection[], lacks: Lacks): boolean {
  return (
    lacks.netem !== undefined && lacks.wire === undefined && directions.some((at) => isImpaired(at.quality))
  );
}

/** Whether a quality is more than a rate. */
export function isImpaired({ delayMs = 0, jitterMs = 0, lossPercent = 0 }: TunnelQuality): boolean {
  return delayMs > 0 || jitterMs > 0 || lossPercent > 0;
}

/** By which means a direction is made. */
export function meansOf({ quality, cut }: LinkDirection, lacks: Lacks): DirectionMeans {
  const { rateMbit, delayMs = 0, jitterMs = 0, lossPercent = 0 } = quality;
  const asked: Quality[] = [
    ...(delayMs > 0 ? ["delay" as const] : []),
    ...(jitterMs > 0 ? ["jitter" as const] : []),
    ...(lossPercent > 0 ? ["loss" as const] : []),
  ];
  const byNetem = lacks.netem === undefined && asked.length > 0;
  const appliedBy: Partial<Record<Quality, Means>> = {};
  const notApplied: NotApplied[] = [];
  for (const name of asked) {
    const means = lacks.netem === undefined ? "netem" : lacks.wire === undefined ? "wire" : undefined;
    if (means !== undefined) appliedBy[name] = means;
    else if (name === "loss") appliedBy.loss = "nft";
    else notApplied.push({ quality: name, reason: `${lacks.netem ?? ""}; ${lacks.wire ?? ""}` });
  }
  if (rateMbit !== undefined) appliedBy.rate = "tbf";
  if (cut) appliedBy.cut = "nft";
  const netem = {
    kind: "netem" as const,
    words: `root handle 1: netem limit 10000 delay ${delayMs}ms ${jitterMs}ms loss ${lossPercent}%`,
  };
  const burst = Math.max(64, Math.ceil((rateMbit ?? 0) * 1.25));
  const tbf = {
    kind: "tbf" as const,
    words: `${byNetem ? "parent 1:1 handle 2:" : "root handle 3:"} tbf rate ${rateMbit ?? 0}mbit burst ${burst}kb latency 100ms`,
  };
  return {
    disciplines: [...(byNetem ? [netem] : []), ...(rateMbit === undefined ? [] : [tbf])],
    dropPercent: cut ? 100 : appliedBy.loss === "nft" ? lossPercent : 0,
    appliedBy,
    notApplied,
  };
}

/**
 * nft text of a cluster's table that drops what is lost on the way to it, before anything counts it; loading it again replaces it.
 * `interfaces` are the names that the link may have at this end.
 */
export function dropTable(
  ends: readonly { readonly interfaces: readonly string[]; readonly dropPercent: number }[],
): string {
  const rules = ends
    .filter(({ dropPercent }) => dropPercent > 0)
    .map(({ interfaces, dropPercent }) => {
      const names = interfaces.map((name) => `"${name}"`).join(", ");
      const share =
        dropPercent >= 100 ? "" : `numgen random mod 1000000 < ${Math.round(dropPercent * 10_000)} `;
      return `    iifname { ${names} } ${share}drop\n`;
    });
  return `table inet mcwan_lab_loss
delete table inet mcwan_lab_loss
table inet mcwan_lab_loss {
  chain wire {
    type filter hook prerouting priority -350; policy accept;
${rules.join("")}  }
}
`;
}
