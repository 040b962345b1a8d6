/**
 * The configuration of fleets as a static bootstrap, so that an Envoy takes it without a control plane: route tables stand
 * inside of their listeners, endpoints inside of their clusters. For tests only.
 */
import { create, toJsonString } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { BootstrapSchema } from "../envoy/envoy/config/bootstrap/v3/bootstrap_pb.ts";
import { Cluster_DiscoveryType, ClusterSchema } from "../envoy/envoy/config/cluster/v3/cluster_pb.ts";
import type { Cluster } from "../envoy/envoy/config/cluster/v3/cluster_pb.ts";
import { ListenerSchema } from "../envoy/envoy/config/listener/v3/listener_pb.ts";
import type { Listener } from "../envoy/envoy/config/listener/v3/listener_pb.ts";
import { RouteConfigurationSchema } from "../envoy/envoy/config/route/v3/route_pb.ts";
import { HttpConnectionManagerSchema } from "../envoy/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
import { envoyRegistry } from "../envoy/registry.ts";
import type { FleetConfig } from "../model/envoy-config.ts";
import { pack } from "./any.ts";

/** Where listeners listen in a test: the address, and the port for the port that Envoy would bind. */
export interface TestPlace {
  readonly address: string;
  readonly portOf: (port: number) => number;
}

/** The bootstrap as JSON, for `envoy --config-path`; several fleets share one Envoy, and clusters of one name. */
export function staticBootstrap(fleets: readonly FleetConfig[], place: TestPlace): string {
  const listeners = fleets.flatMap((fleet) =>
    [...fleet.listeners.values()].map((listener) => staticListener(listener, fleet, place)),
  );
  const clusters = new Map(
    fleets.flatMap((fleet) =>
      [...fleet.clusters].map(([name, cluster]) => [name, staticCluster(cluster, fleet)] as const),
    ),
  );
  const bootstrap = create(BootstrapSchema, {
    staticResources: { listeners, clusters: [...clusters.values()] },
  });
  return toJsonString(BootstrapSchema, bootstrap, { registry: envoyRegistry });
}

function staticListener(listener: Listener, fleet: FleetConfig, place: TestPlace): Listener {
  const filter = listener.filterChains[0]?.filters[0];
  const bound = listener.address?.address.value;
  if (
    filter?.configType.case !== "typedConfig" ||
    bound?.$typeName !== "envoy.config.core.v3.SocketAddress"
  ) {
    throw new Error(`${listener.name} is no HTTP listener`);
  }
  const manager = anyUnpack(filter.configType.value, HttpConnectionManagerSchema);
  const table = fleet.routes.get(fleet.tables.get(listener.name)?.[0] ?? "");
  if (manager === undefined || table === undefined) throw new Error(`${listener.name} has no route table`);
  const routeConfig = create(RouteConfigurationSchema, {
    ...table.head,
    virtualHosts: [...table.virtualHosts],
    // As with RDS: a route may name a cluster that is not there.
    validateClusters: false,
  });
  const inline = { ...manager, routeSpecifier: { case: "routeConfig" as const, value: routeConfig } };
  const configType = { case: "typedConfig" as const, value: pack(HttpConnectionManagerSchema, inline) };
  const portValue = bound.portSpecifier.case === "portValue" ? bound.portSpecifier.value : 0;
  const portSpecifier = { case: "portValue" as const, value: place.portOf(portValue) };
  return create(ListenerSchema, {
    name: listener.name,
    ...(listener.perConnectionBufferLimitBytes === undefined
      ? {}
      : { perConnectionBufferLimitBytes: listener.perConnectionBufferLimitBytes }),
    address: { address: { case: "socketAddress", value: { address: place.address, portSpecifier } } },
    filterChains: [{ filters: [{ name: filter.name, configType }] }],
  });
}

function staticCluster(cluster: Cluster, fleet: FleetConfig): Cluster {
  const loadAssignment = fleet.endpoints.get(cluster.name);
  if (loadAssignment === undefined) return cluster;
  const { edsClusterConfig: _over, ...rest } = cluster;
  return create(ClusterSchema, {
    ...rest,
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.STATIC },
    loadAssignment,
  });
}
