/**
 * Which routes an Envoy refuses, or can't carry out because it refuses what they lead to: told at the route, since its
 * author can mend it, and nobody else's traffic is harmed.
 *
 *     refused virtual host ───────────────────┐
 *     refused cluster, endpoints ─ named by ──┴─→ HTTPRoute, GRPCRoute
 */
import type { Route, VirtualHost } from "../envoy/envoy/config/route/v3/route_components_pb.ts";
import type { FleetName } from "../model/desired.ts";
import type { FleetConfig, RefusedRoute } from "../model/envoy-config.ts";
import { routeOfEnvoyRoute } from "../model/names.ts";
import { xdsType } from "../model/xds-types.ts";
import { clustersOfRoute, partsOf } from "./named-clusters.ts";
import { openTable } from "./stream-state.ts";
import type { StreamState } from "./stream-state.ts";

/** What the streams of one fleet refuse, each route once. */
export function refusedRoutes(
  fleet: FleetName,
  config: FleetConfig,
  streams: readonly StreamState[],
): readonly RefusedRoute[] {
  const found = new Map<string, RefusedRoute>();
  const add = (host: VirtualHost, reason: string, concerns: (route: Route) => boolean): void => {
    for (const route of host.routes) {
      const object = concerns(route) ? routeOfEnvoyRoute(route.name) : undefined;
      if (object === undefined) continue;
      const id = `${object.kind} ${object.key}`;
      if (found.get(id)?.reason !== undefined && found.get(id)?.reason !== "") continue;
      found.set(id, { fleet, ...object, reason });
    }
  };
  for (const state of streams) {
    for (const [table, sift] of state.sifts) {
      const whole = openTable(state, table);
      if (whole === undefined) continue;
      for (const { host, reason } of sift.refusals(whole)) add(host.source, reason, () => true);
    }
  }
  const clusters = refusedClusters(config, streams);
  if (clusters.size === 0) return [...found.values()];
  for (const { virtualHosts } of config.routes.values()) {
    for (const host of virtualHosts) {
      for (const [name, reason] of clusters)
        add(host, `${name}: ${reason}`, (route) => clustersOfRoute(route).includes(name));
    }
  }
  return [...found.values()];
}

/** Clusters that are refused, or whose endpoints or parts are: name → reason. */
function refusedClusters(config: FleetConfig, streams: readonly StreamState[]): ReadonlyMap<string, string> {
  const refused = new Map<string, string>();
  for (const { types, snapshot } of streams) {
    for (const type of [xdsType.cluster, xdsType.clusterLoadAssignment] as const) {
      for (const [name, { reason, version }] of types[type].refused)
        if (snapshot?.[type].get(name)?.version === version) refused.set(name, reason);
    }
  }
  if (refused.size === 0) return refused;
  for (const [name, cluster] of config.clusters) {
    const part = partsOf(cluster).find((each) => refused.has(each));
    const reason = part === undefined ? undefined : refused.get(part);
    if (reason !== undefined && !refused.has(name)) refused.set(name, reason);
  }
  return refused;
}
