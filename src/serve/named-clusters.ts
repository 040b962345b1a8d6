/**
 * Which clusters a resource names, as far as mc-wan's own configuration does: routes and their mirrors, streams of a
 * listener, the parts of an aggregate. And a virtual host that no longer names some of them.
 */
import { create } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import type { Cluster } from "../envoy/envoy/config/cluster/v3/cluster_pb.ts";
import type { Listener } from "../envoy/envoy/config/listener/v3/listener_pb.ts";
import {
  RouteActionSchema,
  RouteSchema,
  VirtualHostSchema,
  WeightedClusterSchema,
} from "../envoy/envoy/config/route/v3/route_components_pb.ts";
import type { Route, RouteAction, VirtualHost } from "../envoy/envoy/config/route/v3/route_components_pb.ts";
import { ClusterConfigSchema } from "../envoy/envoy/extensions/clusters/aggregate/v3/cluster_pb.ts";
import { TcpProxySchema } from "../envoy/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.ts";
import { closedCluster } from "../model/names.ts";

/** Clusters that answer a route's requests. */
export function clustersOfRoute({ action }: Route): readonly string[] {
  if (action.case !== "route") return [];
  const { clusterSpecifier } = action.value;
  if (clusterSpecifier.case === "cluster") return [clusterSpecifier.value];
  if (clusterSpecifier.case !== "weightedClusters") return [];
  return clusterSpecifier.value.clusters.map(({ name }) => name);
}

/** Clusters that a virtual host names, its mirrors' too; not the one that stands for none. */
export function clustersOfHost({ routes }: VirtualHost): readonly string[] {
  const names = routes.flatMap((route) => [...clustersOfRoute(route), ...mirrorsOf(route)]);
  return [...new Set(names)].filter((name) => name !== closedCluster);
}

/** Clusters to which a listener leads streams, past any route. */
export function clustersOfListener({ filterChains }: Listener): readonly string[] {
  const names = filterChains
    .flatMap(({ filters }) => filters)
    .flatMap(({ configType }) => {
      const proxy =
        configType.case === "typedConfig" ? anyUnpack(configType.value, TcpProxySchema) : undefined;
      if (proxy?.clusterSpecifier.case === "cluster") return [proxy.clusterSpecifier.value];
      if (proxy?.clusterSpecifier.case !== "weightedClusters") return [];
      return proxy.clusterSpecifier.value.clusters.map(({ name }) => name);
    });
  return [...new Set(names)].filter((name) => name !== closedCluster);
}

/** Clusters of which an aggregate is made. */
export function partsOf({ clusterDiscoveryType: { case: kind, value } }: Cluster): readonly string[] {
  if (kind !== "clusterType" || value.typedConfig === undefined) return [];
  return anyUnpack(value.typedConfig, ClusterConfigSchema)?.clusters ?? [];
}

/** The virtual host with the missing clusters' shares closed, and their mirrors left out. */
export function hostWithout(host: VirtualHost, missing: ReadonlySet<string>): VirtualHost {
  const routes = host.routes.map((route) => {
    const { action } = route;
    if (action.case !== "route") return route;
    const isWhole = [...clustersOfRoute(route), ...mirrorsOf(route)].every((name) => !missing.has(name));
    if (isWhole) return route;
    return create(RouteSchema, {
      ...route,
      action: { case: "route", value: actionWithout(action.value, missing) },
    });
  });
  return create(VirtualHostSchema, { ...host, routes });
}

function actionWithout(action: RouteAction, missing: ReadonlySet<string>): RouteAction {
  const { clusterSpecifier, requestMirrorPolicies } = action;
  const open = (name: string): string => (missing.has(name) ? closedCluster : name);
  return create(RouteActionSchema, {
    ...action,
    requestMirrorPolicies: requestMirrorPolicies.filter(({ cluster }) => !missing.has(cluster)),
    ...(clusterSpecifier.case === "cluster" && {
      clusterSpecifier: { case: "cluster", value: open(clusterSpecifier.value) },
    }),
    ...(clusterSpecifier.case === "weightedClusters" && {
      clusterSpecifier: {
        case: "weightedClusters",
        value: create(WeightedClusterSchema, {
          ...clusterSpecifier.value,
          clusters: clusterSpecifier.value.clusters.map((share) => ({ ...share, name: open(share.name) })),
        }),
      },
    }),
  });
}

const mirrorsOf = ({ action }: Route): readonly string[] =>
  action.case === "route" ? action.value.requestMirrorPolicies.map(({ cluster }) => cluster) : [];
