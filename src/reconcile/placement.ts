/**
 * Which clusters an import's requests prefer: the tiers of its L7 ServiceImport, or home's Pods before all others; and
 * whether a client stays with one cluster. Never looks at who is ready: that is `wan-backends.ts`.
 *
 * Home's own Pods are reached past any gateway where home is the first tier alone. Elsewhere home takes part as the other
 * clusters do, through its own ingress gateways: one Envoy cluster then holds all tiers, and one hash chooses among them.
 */
import { reasons } from "../api/conditions.ts";
import type { ServiceImport } from "../api/service-import.ts";
import type { Problem } from "../model/problem.ts";
import type { ClusterId, World } from "../model/world.ts";
import { home, type Home } from "./gateway-directory.ts";
import type { Merged } from "./imports.ts";

/** Where the requests of one import go first. */
export interface Placement {
  /** 0 is preferred; undefined: the cluster gets no request. */
  readonly tierOf: (cluster: ClusterId | Home) => number | undefined;
  /** Home's Pods come first, past any gateway. */
  readonly hasHomePods: boolean;
  /** What home is called where it takes part through its gateways. */
  readonly homeName: ClusterId;
  /** Per cent of a tier's endpoints that keep all requests there. */
  readonly spillOverBelow?: number;
  /** A client stays with one cluster. */
  readonly hasAffinity: boolean;
  /** The same text, the same placement. */
  readonly key: string;
}

/** Not a cluster's id, which is lower case. */
const words = { home: "Home", others: "Others" } as const;
const homeFirst: readonly (readonly string[])[] = [[words.home], [words.others]];

/** What a placement is made of. */
export interface PlacementInput {
  readonly merged: Merged;
  readonly rules: ServiceImport | undefined;
  readonly homeId: ClusterId | undefined;
}

/** The placement of an import. */
export function placementOf({ merged, rules, homeId }: PlacementInput): Placement {
  const failover = rules?.spec.failover;
  const tiers = failover?.tiers?.map(({ clusters }) => clusters) ?? homeFirst;
  const ranks = new Map<string, number>();
  for (const [tier, clusters] of tiers.entries()) {
    for (const cluster of clusters) {
      const name = cluster === homeId ? words.home : cluster;
      // The first that names a cluster has it; problems tell of the second.
      if (!ranks.has(name)) ranks.set(name, tier);
    }
  }
  const others = ranks.get(words.others);
  const tierOf = (cluster: ClusterId | Home): number | undefined =>
    ranks.get(cluster === home ? words.home : cluster) ?? others;
  const hasAffinity = merged.type !== "Headless" && merged.oldest.sessionAffinity === "ClientIP";
  const first = [...ranks].filter(([, tier]) => tier === 0);
  const hasHomePods = !hasAffinity && first.length === 1 && first[0]?.[0] === words.home;
  const spillOverBelow = failover?.spillOverBelow;
  const homeName = homeId ?? "home";
  return {
    tierOf,
    hasHomePods,
    homeName,
    ...(spillOverBelow === undefined ? {} : { spillOverBelow }),
    hasAffinity,
    key: JSON.stringify([[...ranks], hasHomePods, hasAffinity, homeName, spillOverBelow]),
  };
}

/** As another implementation of Gateway API carries it: home first, with weights, and nothing of the rest. */
export const plainPlacement: Placement = {
  tierOf: (cluster) => (cluster === home ? 0 : 1),
  hasHomePods: true,
  homeName: "home",
  hasAffinity: false,
  key: "",
};

/** What is wrong with the tiers of an L7 ServiceImport. */
export function tierProblems(
  rules: ServiceImport | undefined,
  { homeId, peers }: Pick<World, "homeId" | "peers">,
): Problem[] {
  const problems: Problem[] = [];
  const seen = new Set<string>();
  const known = new Set(peers.map(({ id }) => id));
  for (const { clusters } of rules?.spec.failover?.tiers ?? []) {
    for (const cluster of clusters) {
      const name = cluster === homeId ? words.home : cluster;
      if (seen.has(name)) {
        problems.push({
          reason: reasons.DuplicateCluster,
          message: `spec.failover.tiers names "${cluster}" twice: the first place holds. Delete the second.`,
        });
      } else if (name !== words.home && name !== words.others && !known.has(name)) {
        problems.push({
          reason: reasons.UnknownCluster,
          message: `spec.failover.tiers names the cluster "${cluster}", which is no peer of this cluster: it is passed over. Correct the name, or join the cluster.`,
        });
      }
      seen.add(name);
    }
  }
  return problems;
}
