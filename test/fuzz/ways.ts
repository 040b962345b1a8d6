/** Where the requests and connections of a fleet may go: every way from a table's host name, or a listener, to a cluster. */
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import type { Cluster } from "../../src/envoy/envoy/config/cluster/v3/cluster_pb.ts";
import type { Filter } from "../../src/envoy/envoy/config/listener/v3/listener_components_pb.ts";
import type { Listener } from "../../src/envoy/envoy/config/listener/v3/listener_pb.ts";
import type { Route } from "../../src/envoy/envoy/config/route/v3/route_components_pb.ts";
import { envoyRegistry } from "../../src/envoy/registry.ts";
import type { FleetConfig } from "../../src/model/envoy-config.ts";

/** A way to a cluster. */
export interface Way {
  /** The Envoy cluster's name. */
  readonly cluster: string;
  /** Name of the Envoy route; undefined for a connection that is passed on as it is. */
  readonly route?: string;
  readonly domains: readonly string[];
}

interface NamesClusters {
  readonly $typeName: string;
  readonly clusterSpecifier: { readonly case?: string | undefined; readonly value?: unknown };
}

/** Named where a part of the requests is to be answered with an error: never the name of a cluster. */
const nowhere = "closed";

/** All ways of a fleet, those of mirrors included. */
export function waysOf(fleet: FleetConfig): readonly Way[] {
  const byHost = [...fleet.routes.values()].flatMap(({ virtualHosts }) =>
    virtualHosts.flatMap(({ domains, routes }) =>
      routes.flatMap((route) =>
        clustersOfRoute(route).map((cluster) => ({ cluster, route: route.name, domains })),
      ),
    ),
  );
  const byConnection = [...fleet.listeners.values()].flatMap((listener) =>
    filtersOf(listener).flatMap((filter) =>
      named(unpacked(filter, "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy")).map((cluster) => ({
        cluster,
        domains: [],
      })),
    ),
  );
  // A connection with our header chooses among these by itself.
  const reads = [...fleet.listeners.values()].some(({ listenerFilters }) =>
    listenerFilters.some(({ name }) => name === "envoy.filters.listener.proxy_protocol"),
  );
  const byHeader = [...fleet.clusters.keys()]
    .filter((cluster) => reads && cluster.startsWith("stream/"))
    .map((cluster) => ({ cluster, domains: [] }));
  return [...byHost, ...byConnection, ...byHeader].filter(({ cluster }) => cluster !== nowhere);
}

/** The clusters that a cluster is made of. */
export function partsOf(cluster: Cluster): readonly string[] {
  const { clusterDiscoveryType: type } = cluster;
  if (type.case !== "clusterType" || type.value.typedConfig === undefined) return [];
  const config = anyUnpack(type.value.typedConfig, envoyRegistry);
  if (config?.$typeName !== "envoy.extensions.clusters.aggregate.v3.ClusterConfig")
    throw new Error(`${cluster.name} is of an unknown type`);
  return (config as unknown as { readonly clusters: readonly string[] }).clusters;
}

/** The route tables that a listener asks for. */
export function tablesOf(listener: Listener): readonly string[] {
  return filtersOf(listener).flatMap((filter) => {
    const manager = unpacked(
      filter,
      "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    ) as { readonly routeSpecifier: { readonly value: { readonly routeConfigName: string } } } | undefined;
    return manager === undefined ? [] : [manager.routeSpecifier.value.routeConfigName];
  });
}

function clustersOfRoute({ action }: Route): readonly string[] {
  if (action.case !== "route") return [];
  const mirrors = action.value.requestMirrorPolicies.map(({ cluster }) => cluster);
  return [...named(action.value), ...mirrors];
}

function named(action: NamesClusters | undefined): readonly string[] {
  if (action === undefined) return [];
  const { case: form, value } = action.clusterSpecifier;
  if (form === "cluster") return [value as string];
  if (form === "weightedClusters")
    return (value as { readonly clusters: readonly { readonly name: string }[] }).clusters.map(
      ({ name }) => name,
    );
  throw new Error(`${action.$typeName} names its clusters in the unknown way ${form ?? "none"}`);
}

const filtersOf = ({ filterChains, defaultFilterChain }: Listener): readonly Filter[] =>
  [...filterChains, ...(defaultFilterChain ? [defaultFilterChain] : [])].flatMap(({ filters }) => filters);

function unpacked({ configType }: Filter, typeName: string): NamesClusters | undefined {
  const config = configType.case === "typedConfig" ? anyUnpack(configType.value, envoyRegistry) : undefined;
  return config?.$typeName === typeName ? (config as unknown as NamesClusters) : undefined;
}
