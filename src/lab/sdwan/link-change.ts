/**
 * What the links of a lab are to be like, direction by direction, and how that is changed: which directions somebody means, and what becomes
 * of them. Pure; host-links.ts hands the result to the lab.
 */
import { UsageError } from "../../model/errors.ts";
import { linksOf, type LabPlan, type TunnelQuality } from "../lab-plan.ts";

/** One direction of a link between two clusters. */
export interface LinkDirection {
  /** The tunnel's name, or `control-plane`. */
  readonly link: string;
  /** Ids of the clusters that packets leave and reach. */
  readonly from: string;
  readonly to: string;
  readonly quality: TunnelQuality;
  /** Whether packets vanish on the way, without a word to the sender. */
  readonly cut: boolean;
}

/** Which directions are meant: those that fit every word that is given; with none, all. */
export interface LinkSelector {
  /** A tunnel's name, or `control-plane`. */
  readonly link?: string | undefined;
  /** Both directions between two clusters. */
  readonly between?: readonly [string, string] | undefined;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

/** What becomes of a direction. A quality that isn't named stays; 0 takes a limit away. `reset`: as at `up`, and whole. */
export type LinkChange =
  { readonly quality: TunnelQuality } | { readonly cut: boolean } | { readonly reset: true };

/** All that the links are to be like. */
export interface DesiredLinks {
  /** Counted up with each change. */
  readonly generation: number;
  readonly directions: readonly LinkDirection[];
}

/** The links as they are at `up`: tunnels as they were asked for, control planes without limits. */
export function linksAtUp(plan: Pick<LabPlan, "clusters" | "tunnels">): DesiredLinks {
  const directions = linksOf(plan).flatMap(({ name, ends: [a, b] }) => {
    const tunnel = plan.tunnels.find((candidate) => candidate.name === name);
    const quality = tunnel === undefined ? {} : limits(tunnel);
    return [
      { link: name, from: a.cluster, to: b.cluster, quality, cut: false },
      { link: name, from: b.cluster, to: a.cluster, quality, cut: false },
    ];
  });
  return { generation: 1, directions };
}

/** The links after a change. Throws UsageError for a selector that no direction fits, and says what there is. */
export function changedLinks(
  plan: Pick<LabPlan, "clusters" | "tunnels">,
  before: DesiredLinks,
  asked: { readonly selector: LinkSelector; readonly change: LinkChange },
): DesiredLinks {
  checkSelector(before, asked.selector);
  const atUp = linksAtUp(plan).directions;
  const directions = before.directions.map((direction, index): LinkDirection => {
    if (!isMeant(direction, asked.selector)) return direction;
    const { change } = asked;
    if ("reset" in change) return atUp[index] ?? direction;
    if ("cut" in change) return { ...direction, cut: change.cut };
    return { ...direction, quality: limits({ ...direction.quality, ...change.quality }) };
  });
  return { generation: before.generation + 1, directions };
}

/** Whether a direction is one that a selector means. */
export function isMeant(direction: LinkDirection, { link, between, from, to }: LinkSelector): boolean {
  return (
    (link === undefined || direction.link === link) &&
    (from === undefined || direction.from === from) &&
    (to === undefined || direction.to === to) &&
    (between === undefined || (between.includes(direction.from) && between.includes(direction.to)))
  );
}

function checkSelector({ directions }: DesiredLinks, selector: LinkSelector): void {
  const { link, between = [], from, to } = selector;
  const names = [...new Set(directions.map((direction) => direction.link))];
  const clusters = [...new Set(directions.map((direction) => direction.from))];
  if (names.length === 0) throw new UsageError("the lab has no links: it has one cluster");
  if (link !== undefined && !names.includes(link))
    throw new UsageError(`the lab has no link ${link}: it has ${names.join(", ")}`);
  const unknown = [...between, from, to].find((id) => id !== undefined && !clusters.includes(id));
  if (unknown !== undefined)
    throw new UsageError(`the lab has no cluster ${unknown}: it has ${clusters.join(", ")}`);
  if (!directions.some((direction) => isMeant(direction, selector)))
    throw new UsageError("no link is meant: it goes from one cluster to another");
}

/** A quality without the limits that are none. */
function limits({ rateMbit = 0, delayMs = 0, jitterMs = 0, lossPercent = 0 }: TunnelQuality): TunnelQuality {
  return {
    ...(rateMbit > 0 ? { rateMbit } : {}),
    ...(delayMs > 0 ? { delayMs } : {}),
    ...(jitterMs > 0 ? { jitterMs } : {}),
    ...(lossPercent > 0 ? { lossPercent } : {}),
  };
}
