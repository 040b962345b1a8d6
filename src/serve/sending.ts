/**
 * To which ports of peers an Envoy may send, as far as its stream tells: those of every configuration since the last one of
 * which it has acknowledged all clusters and endpoints.
 */
import type { SendsTo } from "../model/world.ts";
import { xdsType } from "../model/xds-types.ts";
import { hasChanges } from "./stream-state.ts";
import type { StreamState } from "./stream-state.ts";

/** Whether the Envoy sends where the newest configuration says, and nowhere else. */
export function isUpToDate({ types, pending, snapshot }: StreamState): boolean {
  const clusters = types[xdsType.cluster];
  const endpoints = types[xdsType.clusterLoadAssignment];
  if (snapshot === undefined || !clusters.isOpen || pending[xdsType.cluster].size > 0) return false;
  const areSettled = [clusters, endpoints].every(
    (known) => known.inFlight === undefined && !hasChanges(known),
  );
  return areSettled && endpoints.unready.size === 0 && endpoints.refused.size === 0;
}

/** What either says. */
export function unionOf(one: SendsTo, other: SendsTo): SendsTo {
  if (one === other) return one;
  const result: Record<string, Record<string, readonly number[]>> = {};
  for (const said of [one, other]) {
    for (const [cluster, policies] of Object.entries(said)) {
      const ofCluster = (result[cluster] ??= {});
      for (const [policy, ports] of Object.entries(policies)) {
        const known = Object.hasOwn(ofCluster, policy) ? (ofCluster[policy] ?? []) : [];
        ofCluster[policy] = [...new Set([...known, ...ports])].sort((a, b) => a - b);
      }
    }
  }
  return result;
}
