/**
 * The Envoy listener of a port: its filter chains, each for the names (SNI) that it is for. A connection for which there is
 * no chain is closed.
 *
 * Everything variable is in route tables and secrets: a listener that changes would drain its connections. What changes a
 * chain drains the connections of that chain alone.
 *
 * Source: Envoy, config.listener.v3, extensions.transport_sockets.tls.v3, extensions.filters.network.tcp_proxy.v3.
 */
import { create } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  FilterChainSchema,
  FilterSchema,
} from "../envoy/envoy/config/listener/v3/listener_components_pb.ts";
import { ListenerSchema } from "../envoy/envoy/config/listener/v3/listener_pb.ts";
import type { Listener } from "../envoy/envoy/config/listener/v3/listener_pb.ts";
import { TlsInspectorSchema } from "../envoy/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector_pb.ts";
import { HttpConnectionManagerSchema } from "../envoy/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
import { RBACSchema } from "../envoy/envoy/extensions/filters/network/rbac/v3/rbac_pb.ts";
import { TcpProxySchema } from "../envoy/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.ts";
import { TlsParameters_TlsProtocol } from "../envoy/envoy/extensions/transport_sockets/tls/v3/common_pb.ts";
import { DownstreamTlsContextSchema } from "../envoy/envoy/extensions/transport_sockets/tls/v3/tls_pb.ts";
import { closedCluster } from "../model/names.ts";
import { pack } from "./any.ts";
import { anyServerName } from "../model/server-names.ts";
import { overAds, streamKeepalive } from "./clusters.ts";
import { duration } from "./duration.ts";
import { streamCallers } from "./gateway-trust.ts";
import type { ListenerTls } from "./gateway-tls.ts";
import { httpConnectionManager } from "./http-connection-manager.ts";
import { byPreface, clusterOfPreface, prefaceFilter } from "./stream-preface.ts";
import type { EdgeRole } from "./http-connection-manager.ts";

/** TLS that ends at a chain; secrets by name. */
export interface ChainTls {
  readonly certificates: readonly string[];
  readonly clients?: { readonly authorities: string; readonly isRequired: boolean };
  /** Clients are gateways of the cluster set: the newest of everything, and no session is resumed. */
  readonly isBetweenGateways?: true;
}

/** A part of a stream's connections: the cluster, and how many of the sum of all. */
interface Share {
  readonly cluster: string;
  readonly weight: number;
}

/** What connections are for. */
type ChainUse =
  | {
      readonly use: "Http";
      readonly routeTable: string;
      readonly tls?: ChainTls;
      /** Its tables say from whom requests come. */
      readonly knowsClients?: true;
    }
  | { readonly use: "Stream"; readonly shares: readonly Share[]; readonly tls?: ChainTls }
  /** Connections from other gateways, which say what they are for. */
  | { readonly use: "Relay"; readonly tls?: ChainTls }
  /** Closed at once. */
  | { readonly use: "Nothing" };

/** A filter chain. */
export type Chain = ChainUse & {
  /** Unique in its listener. */
  readonly name: string;
  /** Names that clients ask for by SNI; undefined: any connection, in TLS or not. Empty: every name in TLS, and none. */
  readonly serverNames?: readonly string[];
};

/** An Envoy listener: a port and what happens there. */
export interface EnvoyPort {
  readonly name: string;
  readonly port: number;
  readonly role: EdgeRole;
  readonly chains: readonly Chain[];
}

/** A port without TLS: whatever comes, one table decides. */
export function plainPort(at: Omit<EnvoyPort, "chains">, routeTable: string): EnvoyPort {
  return { ...at, chains: [{ name: at.name, use: "Http", routeTable }] };
}

/** The same for an imported service's clients: its table may know them by their addresses. */
export function egressPort(at: Omit<EnvoyPort, "chains" | "role">, routeTable: string): EnvoyPort {
  return {
    ...at,
    role: "Client",
    chains: [{ name: at.name, use: "Http", routeTable, knowsClients: true }],
  };
}

/** A port for gateways of the cluster set: in mutual TLS, for the names of services. */
export function gatewaysPort(
  at: Omit<EnvoyPort, "chains">,
  { table, tls }: { readonly table: string; readonly tls: ListenerTls },
): EnvoyPort {
  const secrets = { ...chainTls(tls), isBetweenGateways: true as const };
  return {
    ...at,
    chains: [
      { name: chainNames.other, use: "Http", routeTable: table, serverNames: [anyServerName], tls: secrets },
      { name: chainNames.stream, use: "Relay", tls: secrets },
    ],
  };
}

/** The secrets of a listener, by name. */
export function chainTls({ certificates, clients }: ListenerTls): ChainTls {
  return {
    certificates: certificates.map(({ name }) => name),
    ...(clients && { clients: { authorities: clients.authorities.name, isRequired: clients.isRequired } }),
  };
}

/** A port for gateways of other clusters: HTTP, which one table decides on, and streams. */
export function wanPort(at: Omit<EnvoyPort, "chains" | "role">, routeTable: string): EnvoyPort {
  const chains = [
    { name: chainNames.other, use: "Http", routeTable },
    { name: chainNames.stream, use: "Relay" },
  ] as const;
  return { ...at, role: "Wan", chains };
}
const chainNames = { stream: "stream", other: "http" } as const;

/** The route tables that a port names. */
export const routeTablesOf = ({ chains }: EnvoyPort): readonly string[] =>
  chains.flatMap((chain) => (chain.use === "Http" ? chain.routeTable : []));

/** Bytes that Envoy holds for a connection before it stops reading. */
const bufferLimit = { Client: 65_536, Wan: 1_048_576 } as const;

const tlsInspector = {
  name: "envoy.filters.listener.tls_inspector",
  configType: { case: "typedConfig" as const, value: pack(TlsInspectorSchema, {}) },
};

const hasRelay = ({ chains }: EnvoyPort): boolean => chains.some(({ use }) => use === "Relay");

export function envoyListener(at: EnvoyPort): Listener {
  const socketAddress = { address: "0.0.0.0", portSpecifier: { case: "portValue" as const, value: at.port } };
  const isTls = at.chains.some(({ serverNames }) => serverNames !== undefined);
  const isRelay = hasRelay(at);
  return create(ListenerSchema, {
    name: at.name,
    address: { address: { case: "socketAddress", value: socketAddress } },
    perConnectionBufferLimitBytes: bufferLimit[at.role],
    listenerFilters: [...(isRelay ? [prefaceFilter] : []), ...(isTls ? [tlsInspector] : [])],
    ...(isRelay && {
      filterChainMatcher: byPreface(chainNames),
      tcpKeepalive: streamKeepalive,
    }),
    filterChains: at.chains.map((chain) => filterChain(chain, at)),
  });
}

/** Connections between gateways are opened for the name of a service: others are closed. */
const servicesOnly: FilterInit = {
  name: "envoy.filters.network.rbac",
  configType: {
    case: "typedConfig",
    value: pack(RBACSchema, {
      statPrefix: "services",
      rules: {
        policies: {
          services: {
            permissions: [
              {
                rule: {
                  case: "requestedServerName",
                  value: { matchPattern: { case: "suffix", value: anyServerName.slice(1) } },
                },
              },
            ],
            principals: [{ identifier: { case: "any", value: true } }],
          },
        },
      },
    }),
  },
};

/** Only gateways that send may open streams. */
const senders: FilterInit = {
  name: "envoy.filters.network.rbac",
  configType: { case: "typedConfig", value: streamCallers },
};

type FilterInit = MessageInitShape<typeof FilterSchema>;

function filterChain(chain: Chain, at: EnvoyPort): MessageInitShape<typeof FilterChainSchema> {
  const { serverNames } = chain;
  const tls = "tls" in chain ? chain.tls : undefined;
  // The one chain of a port without TLS needs no name.
  if (serverNames === undefined && tls === undefined)
    return { ...(at.chains.length > 1 && { name: chain.name }), filters: filters(chain, at) };
  return {
    name: chain.name,
    // Where a matcher chooses the chain, nothing else may.
    ...(serverNames !== undefined &&
      !hasRelay(at) && { filterChainMatch: { serverNames: [...serverNames], transportProtocol: "tls" } }),
    filters: filters(chain, at),
    ...(tls && {
      transportSocket: {
        name: "envoy.transport_sockets.tls",
        configType: {
          case: "typedConfig" as const,
          value: pack(DownstreamTlsContextSchema, downstreamTls(tls, chain.use === "Http")),
        },
      },
      transportSocketConnectTimeout: duration(10_000),
    }),
  };
}

function filters(chain: Chain, { name, role, port }: EnvoyPort): FilterInit[] {
  switch (chain.use) {
    case "Http": {
      const isMutual = chain.tls?.isBetweenGateways === true;
      const { routeTable, knowsClients = false } = chain;
      const manager = httpConnectionManager({ role, port, routeTable, isMutual, knowsClients });
      const value = pack(HttpConnectionManagerSchema, manager);
      return [
        ...(isMutual ? [servicesOnly] : []),
        {
          name: "envoy.filters.network.http_connection_manager",
          configType: { case: "typedConfig", value },
        },
      ];
    }
    case "Stream":
      return [tcpProxy(chain.name, chain.shares)];
    case "Relay":
      // Where the port's field names no cluster, connections are closed.
      return [
        ...(chain.tls?.isBetweenGateways ? [senders] : []),
        clusterOfPreface,
        tcpProxy(`${name}/stream`, [{ cluster: closedCluster, weight: 1 }]),
      ];
    case "Nothing":
      return [];
  }
}

function tcpProxy(name: string, shares: readonly Share[]): FilterInit {
  const clusters = shares.map(({ cluster, weight }) => ({ name: cluster, weight }));
  const [only] = shares;
  const value = pack(TcpProxySchema, {
    statPrefix: name.replaceAll("/", "_"),
    clusterSpecifier:
      shares.length === 1 && only !== undefined
        ? { case: "cluster", value: only.cluster }
        : { case: "weightedClusters", value: { clusters } },
    idleTimeout: duration(3_600_000),
    maxConnectAttempts: 3,
    // Clusters of services with session affinity ask for it.
    hashPolicy: [{ policySpecifier: { case: "sourceIp", value: {} } }],
  });
  return { name: "envoy.filters.network.tcp_proxy", configType: { case: "typedConfig", value } };
}

const newest = {
  tlsMinimumProtocolVersion: TlsParameters_TlsProtocol.TLSv1_3,
  tlsMaximumProtocolVersion: TlsParameters_TlsProtocol.TLSv1_3,
};

function downstreamTls(
  { certificates, clients, isBetweenGateways }: ChainTls,
  isHttp: boolean,
): MessageInitShape<typeof DownstreamTlsContextSchema> {
  const secret = (name: string) => ({ name, sdsConfig: overAds });
  return {
    commonTlsContext: {
      tlsCertificateSdsSecretConfigs: certificates.map(secret),
      ...(clients && {
        validationContextType: {
          case: "validationContextSdsSecretConfig" as const,
          // eslint-disable-next-line @typescript-eslint/no-deprecated -- other members of the oneof are, this one is not
          value: secret(clients.authorities),
        },
      }),
      ...(isBetweenGateways && { tlsParams: newest, alpnProtocols: ["h2"] }),
      ...(isHttp && !isBetweenGateways && { alpnProtocols: ["h2", "http/1.1"] }),
    },
    // What was trusted once is checked again on every connection.
    ...(isBetweenGateways && {
      sessionTicketKeysType: { case: "disableStatelessSessionResumption" as const, value: true },
      disableStatefulSessionResumption: true,
    }),
    ...(clients && { requireClientCertificate: clients.isRequired }),
  };
}
