/**
 * The configuration of fleets as a static bootstrap, so that an Envoy takes it without a control plane: route tables stand
 * inside of their listeners, endpoints inside of their clusters, secrets beside them. For tests only.
 */
import { create, toJsonString } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { BootstrapSchema } from "../../src/envoy/envoy/config/bootstrap/v3/bootstrap_pb.ts";
import { Cluster_DiscoveryType, ClusterSchema } from "../../src/envoy/envoy/config/cluster/v3/cluster_pb.ts";
import type { Cluster } from "../../src/envoy/envoy/config/cluster/v3/cluster_pb.ts";
import { AddressSchema } from "../../src/envoy/envoy/config/core/v3/address_pb.ts";
import { TransportSocketSchema } from "../../src/envoy/envoy/config/core/v3/base_pb.ts";
import type { TransportSocket } from "../../src/envoy/envoy/config/core/v3/base_pb.ts";
import { FilterSchema } from "../../src/envoy/envoy/config/listener/v3/listener_components_pb.ts";
import type { Filter } from "../../src/envoy/envoy/config/listener/v3/listener_components_pb.ts";
import { ListenerSchema } from "../../src/envoy/envoy/config/listener/v3/listener_pb.ts";
import type { Listener } from "../../src/envoy/envoy/config/listener/v3/listener_pb.ts";
import { RouteConfigurationSchema } from "../../src/envoy/envoy/config/route/v3/route_pb.ts";
import { HttpConnectionManagerSchema } from "../../src/envoy/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
import {
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
} from "../../src/envoy/envoy/extensions/transport_sockets/tls/v3/tls_pb.ts";
import { ProxyProtocolUpstreamTransportSchema } from "../../src/envoy/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol_pb.ts";
import { envoyRegistry } from "../../src/envoy/registry.ts";
import type { FleetConfig } from "../../src/model/envoy-config.ts";
import { pack } from "../../src/translate/any.ts";

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
  const secrets = new Map(
    fleets.flatMap((fleet) => [...fleet.secrets].map(([name, secret]) => [name, secret.reveal()] as const)),
  );
  const bootstrap = create(BootstrapSchema, {
    staticResources: { listeners, clusters: [...clusters.values()], secrets: [...secrets.values()] },
  });
  return toJsonString(BootstrapSchema, bootstrap, { registry: envoyRegistry });
}

function staticListener(listener: Listener, fleet: FleetConfig, place: TestPlace): Listener {
  const bound = listener.address?.address.value;
  if (bound?.$typeName !== "envoy.config.core.v3.SocketAddress")
    throw new Error(`${listener.name} has no address`);
  const portValue = bound.portSpecifier.case === "portValue" ? bound.portSpecifier.value : 0;
  const portSpecifier = { case: "portValue" as const, value: place.portOf(portValue) };
  return create(ListenerSchema, {
    ...listener,
    address: create(AddressSchema, {
      address: { case: "socketAddress", value: { address: place.address, portSpecifier } },
    }),
    filterChains: listener.filterChains.map((chain) => ({
      ...chain,
      filters: chain.filters.map((filter) => staticFilter(filter, fleet)),
      ...(chain.transportSocket && { transportSocket: staticSocket(chain.transportSocket) }),
    })),
  });
}

/** A connection manager with its routes inside; another filter as it is. */
function staticFilter(filter: Filter, fleet: FleetConfig): Filter {
  const config = filter.configType.case === "typedConfig" ? filter.configType.value : undefined;
  const manager = config && anyUnpack(config, HttpConnectionManagerSchema);
  if (manager === undefined) return filter;
  const name = manager.routeSpecifier.case === "rds" ? manager.routeSpecifier.value.routeConfigName : "";
  const table = fleet.routes.get(name);
  if (table === undefined) throw new Error(`there is no route table ${name}`);
  const routeConfig = create(RouteConfigurationSchema, {
    ...table.head,
    virtualHosts: [...table.virtualHosts],
    // As with RDS: a route may name a cluster that is not there.
    validateClusters: false,
  });
  const inline = { ...manager, routeSpecifier: { case: "routeConfig" as const, value: routeConfig } };
  const value = pack(HttpConnectionManagerSchema, inline);
  return create(FilterSchema, { name: filter.name, configType: { case: "typedConfig", value } });
}

/** TLS whose secrets are static resources: named without a source. */
function staticSocket({ name, configType }: TransportSocket): TransportSocket {
  const config = configType.case === "typedConfig" ? configType.value : undefined;
  const downstream = config && anyUnpack(config, DownstreamTlsContextSchema);
  const upstream = config && anyUnpack(config, UpstreamTlsContextSchema);
  for (const { commonTlsContext } of [downstream, upstream].filter((context) => context !== undefined)) {
    const own = commonTlsContext?.tlsCertificateSdsSecretConfigs ?? [];
    const { validationContextType: checked } = commonTlsContext ?? {};
    const authorities =
      checked?.case === "combinedValidationContext"
        ? checked.value.validationContextSdsSecretConfig
        : checked?.case === "validationContextSdsSecretConfig"
          ? checked.value
          : undefined;
    for (const secret of [...own, ...(authorities ? [authorities] : [])]) delete secret.sdsConfig;
  }
  const preface = config && anyUnpack(config, ProxyProtocolUpstreamTransportSchema);
  if (preface?.transportSocket !== undefined) {
    const value = pack(ProxyProtocolUpstreamTransportSchema, {
      ...preface,
      transportSocket: staticSocket(preface.transportSocket),
    });
    return create(TransportSocketSchema, { name, configType: { case: "typedConfig", value } });
  }
  // What is neither has no secrets.
  if (downstream === undefined && upstream === undefined)
    return create(TransportSocketSchema, { name, configType });
  const value = downstream
    ? pack(DownstreamTlsContextSchema, downstream)
    : pack(UpstreamTlsContextSchema, upstream ?? {});
  return create(TransportSocketSchema, { name, configType: { case: "typedConfig", value } });
}

function staticCluster(cluster: Cluster, fleet: FleetConfig): Cluster {
  const loadAssignment = fleet.endpoints.get(cluster.name);
  if (loadAssignment === undefined) return cluster;
  const transportSocket = cluster.transportSocket && staticSocket(cluster.transportSocket);
  const { edsClusterConfig: _over, ...rest } = cluster;
  return create(ClusterSchema, {
    ...rest,
    ...(transportSocket && { transportSocket }),
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.STATIC },
    loadAssignment,
  });
}
