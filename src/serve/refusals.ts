/**
 * Which routes an Envoy refuses, or can't carry out because it refuses what they lead to: told at the route, since its
 * author can mend it, and nobody else's traffic is harmed.
 *
 *     refused virtual host ───────────────────┐
 *     refused cluster, endpoints ─ named by ──┴─→ HTTPRoute, GRPCRoute
 */
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import type { Route, VirtualHost } from "../envoy/envoy/config/route/v3/route_components_pb.ts";
import type { Cluster } from "../envoy/envoy/config/cluster/v3/cluster_pb.ts";
import { ClusterConfigSchema } from "../envoy/envoy/extensions/clusters/aggregate/v3/cluster_pb.ts";
import type { FleetName } from "../model/desired.ts";
import type { FleetConfig, RefusedRoute } from "../model/envoy-config.ts";
import { routeOfEnvoyRoute } from "../model/names.ts";
import { xdsType } from "../model/xds-types.ts";
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
  for (const { snapshot, sifts } of streams) {
    for (const [table, sift] of sifts) {
      const whole = snapshot?.[xdsType.routeConfiguration].get(table);
      if (whole === undefined) continue;
      for (const { host, reason } of sift.refusals(whole)) add(host.source, reason, () => true);
    }
  }
  const clusters = refusedClusters(config, streams);
  if (clusters.size === 0) return [...found.values()];
  for (const { virtualHosts } of config.routes.values()) {
    for (const host of virtualHosts) {
      for (const [name, reason] of clusters)
        add(host, `${name}: ${reason}`, (route) => clustersOf(route).includes(name));
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

/** Clusters of which an aggregate is made. */
function partsOf({ clusterDiscoveryType: { case: kind, value } }: Cluster): readonly string[] {
  if (kind !== "clusterType" || value.typedConfig === undefined) return [];
  return anyUnpack(value.typedConfig, ClusterConfigSchema)?.clusters ?? [];
}

function clustersOf({ action }: Route): readonly string[] {
  if (action.case !== "route") return [];
  const { clusterSpecifier } = action.value;
  if (clusterSpecifier.case === "cluster") return [clusterSpecifier.value];
  if (clusterSpecifier.case !== "weightedClusters") return [];
  return clusterSpecifier.value.clusters.map(({ name }) => name);
}
