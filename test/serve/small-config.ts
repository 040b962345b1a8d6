/** Small Envoy configurations for tests: clusters over EDS with endpoints on 127.0.0.1, one route table per listener. */
import { create } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { Cluster_DiscoveryType, ClusterSchema } from "../../src/envoy/envoy/config/cluster/v3/cluster_pb.ts";
import type { Cluster } from "../../src/envoy/envoy/config/cluster/v3/cluster_pb.ts";
import { ApiVersion } from "../../src/envoy/envoy/config/core/v3/config_source_pb.ts";
import { ClusterLoadAssignmentSchema } from "../../src/envoy/envoy/config/endpoint/v3/endpoint_pb.ts";
import type { ClusterLoadAssignment } from "../../src/envoy/envoy/config/endpoint/v3/endpoint_pb.ts";
import { ListenerSchema } from "../../src/envoy/envoy/config/listener/v3/listener_pb.ts";
import type { Listener } from "../../src/envoy/envoy/config/listener/v3/listener_pb.ts";
import { RouteConfigurationSchema } from "../../src/envoy/envoy/config/route/v3/route_pb.ts";
import { VirtualHostSchema } from "../../src/envoy/envoy/config/route/v3/route_components_pb.ts";
import type { VirtualHost } from "../../src/envoy/envoy/config/route/v3/route_components_pb.ts";
import { RouterSchema } from "../../src/envoy/envoy/extensions/filters/http/router/v3/router_pb.ts";
import { HttpConnectionManagerSchema } from "../../src/envoy/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
import type { DescMessage } from "@bufbuild/protobuf";
import { canonicalBytes } from "../../src/model/canonical-bytes.ts";
import type { EnvoyConfig, FleetConfig } from "../../src/model/envoy-config.ts";

/** What a test wants an Envoy to do. */
export interface SmallConfig {
  /** Cluster → port of its one endpoint on 127.0.0.1. */
  readonly clusters?: Readonly<Record<string, number>>;
  /** Connect time-out of all clusters, in seconds: changes every cluster and no endpoint. */
  readonly connectTimeoutS?: number;
  /** Table → host name → cluster. */
  readonly tables?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Listener → its port and table. */
  readonly listeners?: Readonly<Record<string, { readonly port: number; readonly table: string }>>;
  /** Generation of the one Gateway, `ns/gateway`, that has all listeners and tables. */
  readonly generation?: number;
}

/** The name of the fleet that has the configuration. */
export const fleetName = "test-fleet";

/** The configuration of one fleet. */
export function envoyConfigOf(small: SmallConfig): EnvoyConfig {
  return { fleets: new Map([[fleetName, fleetConfigOf(small)]]) };
}

function fleetConfigOf({ clusters = {}, tables = {}, listeners = {}, ...rest }: SmallConfig): FleetConfig {
  return {
    clusters: mapped(clusters, (name) => edsCluster(name, rest.connectTimeoutS ?? 1)),
    endpoints: mapped(clusters, assignment),
    routes: mapped(tables, (name, hosts) => ({
      head: create(RouteConfigurationSchema, { name }),
      virtualHosts: Object.entries(hosts).map(([host, cluster]) => virtualHost(host, cluster)),
    })),
    listeners: mapped(listeners, (name, { port, table }) => httpListener(name, port, table)),
    tables: mapped(listeners, (_name, { table }) => [table]),
    secrets: new Map(),
    clusterSecrets: new Map(),
    gateways: new Map([
      [
        "ns/gateway",
        {
          generation: rest.generation ?? 1,
          listeners: Object.keys(listeners),
          routes: Object.keys(tables),
          secrets: [],
        },
      ],
    ]),
  };
}

function mapped<From, To>(
  from: Readonly<Record<string, From>>,
  make: (name: string, value: From) => To,
): Map<string, To> {
  return new Map(Object.entries(from).map(([name, value]) => [name, make(name, value)]));
}

const ads = {
  resourceApiVersion: ApiVersion.V3,
  configSourceSpecifier: { case: "ads", value: {} },
} as const;

function edsCluster(name: string, connectTimeoutS: number): Cluster {
  return create(ClusterSchema, {
    name,
    connectTimeout: { seconds: BigInt(connectTimeoutS) },
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.EDS },
    edsClusterConfig: { edsConfig: ads },
  });
}

function assignment(clusterName: string, port: number): ClusterLoadAssignment {
  const lbEndpoints = [
    { hostIdentifier: { case: "endpoint" as const, value: { address: socketAddress(port) } } },
  ];
  return create(ClusterLoadAssignmentSchema, { clusterName, endpoints: [{ lbEndpoints }] });
}

function virtualHost(host: string, cluster: string): VirtualHost {
  return create(VirtualHostSchema, {
    name: host,
    domains: [host],
    routes: [
      {
        match: { pathSpecifier: { case: "prefix", value: "/" } },
        action: { case: "route", value: { clusterSpecifier: { case: "cluster", value: cluster } } },
      },
    ],
  });
}

function httpListener(name: string, port: number, table: string): Listener {
  const manager = anyOf(HttpConnectionManagerSchema, {
    statPrefix: "test",
    routeSpecifier: { case: "rds", value: { routeConfigName: table, configSource: ads } },
    httpFilters: [
      {
        name: "envoy.filters.http.router",
        configType: { case: "typedConfig", value: anyOf(RouterSchema, {}) },
      },
    ],
  });
  const filter = {
    name: "envoy.filters.network.http_connection_manager",
    configType: { case: "typedConfig" as const, value: manager },
  };
  return create(ListenerSchema, {
    name,
    address: socketAddress(port),
    filterChains: [{ filters: [filter] }],
  });
}

function socketAddress(port: number) {
  const value = { address: "127.0.0.1", portSpecifier: { case: "portValue" as const, value: port } };
  return { address: { case: "socketAddress" as const, value } };
}

function anyOf<Desc extends DescMessage>(schema: Desc, message: MessageInitShape<Desc>) {
  const value = canonicalBytes(schema, create(schema, message));
  return create(AnySchema, { typeUrl: `type.googleapis.com/${schema.typeName}`, value });
}
