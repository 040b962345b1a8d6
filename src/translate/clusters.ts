/**
 * ClusterSpec → Envoy clusters. One per service and policy, so that two policies never share a connection.
 *
 * Health is passive only (section 5 of the specification): connections that fail eject an endpoint, what a backend
 * answers never does.
 *
 * Source: Envoy, config.cluster.v3, extensions.clusters.aggregate.v3, extensions.upstreams.http.v3.
 */
import { create } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { CircuitBreakersSchema } from "../envoy/envoy/config/cluster/v3/circuit_breaker_pb.ts";
import type { CircuitBreakers } from "../envoy/envoy/config/cluster/v3/circuit_breaker_pb.ts";
import {
  Cluster_DiscoveryType,
  Cluster_LbPolicy,
  ClusterSchema,
} from "../envoy/envoy/config/cluster/v3/cluster_pb.ts";
import type { Cluster } from "../envoy/envoy/config/cluster/v3/cluster_pb.ts";
import type { RetryPolicy } from "../envoy/envoy/config/route/v3/route_components_pb.ts";
import { OutlierDetectionSchema } from "../envoy/envoy/config/cluster/v3/outlier_detection_pb.ts";
import { ApiVersion, ConfigSourceSchema } from "../envoy/envoy/config/core/v3/config_source_pb.ts";
import type { ConfigSource } from "../envoy/envoy/config/core/v3/config_source_pb.ts";
import { BindConfigSchema, TcpKeepaliveSchema } from "../envoy/envoy/config/core/v3/address_pb.ts";
import type { BindConfig } from "../envoy/envoy/config/core/v3/address_pb.ts";
import { SocketOption_SocketState } from "../envoy/envoy/config/core/v3/socket_option_pb.ts";
import { ClusterConfigSchema } from "../envoy/envoy/extensions/clusters/aggregate/v3/cluster_pb.ts";
import type { HttpProtocolOptions_ExplicitHttpConfigSchema } from "../envoy/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.ts";
import { HttpProtocolOptionsSchema } from "../envoy/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.ts";
import type { Desired } from "../model/desired.ts";
import { KeyedMemo } from "../model/memo.ts";
import { pack } from "./any.ts";
import type { Material } from "./certificates.ts";
import { prefaced } from "./stream-preface.ts";
import { mutualTls, upstreamTls } from "./upstream-tls.ts";
import type { GatewayPass } from "./upstream-tls.ts";
import { TransportSocketSchema } from "../envoy/envoy/config/core/v3/base_pb.ts";
import { hasAffinity } from "./backends.ts";
import type { ClusterSpec, HomeFirstClusterSpec, WanClusterSpec } from "./backends.ts";
import { duration } from "./duration.ts";
import { retryPolicy } from "./retries.ts";

const connectTimeoutMs = 1_000;
/** Connections without a request are closed after this, so that an idle service costs the links nothing. */
const idleTimeoutMs = 300_000;

/** Resources come over the one ADS stream that the bootstrap names; better to wait than to go on without. */
export const overAds: ConfigSource = create(ConfigSourceSchema, {
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- other members of the oneof are, this one is not
  configSourceSpecifier: { case: "ads", value: {} },
  resourceApiVersion: ApiVersion.V3,
  initialFetchTimeout: duration(0),
});

const protocolOptionsKey = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/** Dead peers are found by PING, not by requests that hang. */
const keepalive = { interval: duration(10_000), timeout: duration(3_000), intervalJitter: { value: 15 } };

/** WebSocket over HTTP/2 is an extended CONNECT. */
const http2 = { allowConnect: true, connectionKeepalive: keepalive };

const asHttp2 = { protocolConfig: { case: "http2ProtocolOptions", value: http2 } } as const;
const asHttp1 = { protocolConfig: { case: "httpProtocolOptions", value: {} } } as const;
/**
 * A cluster's retries go before its routes'. At every route they would cost Envoy a third of what it takes to build its
 * table anew, which it does whenever a route changes.
 */
const localRetries = retryPolicy("Local");
const toHttp2Service = protocolOptions(asHttp2, localRetries);
const toHttp1Service = protocolOptions(asHttp1, localRetries);
/** What may cross the WAN has the retries of its route: they depend on the method. */
const toHttp2 = protocolOptions(asHttp2);
const toHttp1 = protocolOptions(asHttp1);

function protocolOptions(
  config: MessageInitShape<typeof HttpProtocolOptions_ExplicitHttpConfigSchema>,
  retries?: RetryPolicy,
): Any {
  return pack(HttpProtocolOptionsSchema, {
    commonHttpProtocolOptions: { idleTimeout: duration(idleTimeoutMs) },
    upstreamProtocolOptions: { case: "explicitHttpConfig", value: config },
    ...(retries && { retryPolicy: retries }),
  });
}

/**
 * Envoy's defaults (1,024 of each) are for one service behind one client. Retries are at most a fifth of all requests.
 * `limit`: of requests under way; a connection without requests counts as one.
 */
const circuitBreakers = (limit?: number): CircuitBreakers =>
  create(CircuitBreakersSchema, {
    thresholds: [
      {
        maxConnections: limit ?? 100_000,
        maxPendingRequests: limit ?? 100_000,
        maxRequests: limit ?? 1_000_000,
        // The budget is for floods. So many may be tried again at once whatever it says: when a link dies, all that is under
        // way on it is, and has somewhere to go.
        retryBudget: { budgetPercent: { value: 20 }, minRetryConcurrency: 512 },
      },
    ],
  });
const unlimited = circuitBreakers();

/** An endpoint that comes, or comes back, gets its share bit by bit. */
const byLoad = {
  lbPolicy: Cluster_LbPolicy.LEAST_REQUEST,
  lbConfig: {
    case: "leastRequestLbConfig" as const,
    value: { slowStartConfig: { slowStartWindow: duration(10_000) } },
  },
};

/** The same client, the same endpoint, at every Envoy; few clients move when endpoints come or go. */
const byHash = {
  lbPolicy: Cluster_LbPolicy.RING_HASH,
  lbConfig: {
    case: "ringHashLbConfig" as const,
    value: { minimumRingSize: 1_024n, maximumRingSize: 65_536n },
  },
};

/** Linux: IPPROTO_TCP and TCP_USER_TIMEOUT. */
const tcpUserTimeout = { level: 6n, name: 18n } as const;
/**
 * A link or a gateway that swallows packets is noticed by what is sent to it, not by more PINGs, which would cost every
 * idle link: the kernel gives a connection up when bytes stay unacknowledged for so long, and requests go elsewhere. Three
 * retransmissions fit in where a round trip takes up to 200 ms.
 */
const unacknowledgedMs = 1_200;
/** A stream can't go elsewhere: it outlives what a link takes to be replaced. */
const streamUnacknowledgedMs = 15_000;
const unacknowledgedFor = (ms: number): BindConfig =>
  create(BindConfigSchema, {
    socketOptions: [
      {
        ...tcpUserTimeout,
        value: { case: "intValue", value: BigInt(ms) },
        state: SocketOption_SocketState.STATE_PREBIND,
      },
    ],
  });
const wanSockets = unacknowledgedFor(unacknowledgedMs);
const streamSockets = unacknowledgedFor(streamUnacknowledgedMs);

/** Of idle streams, in seconds: a peer that is gone without a word is noticed within a minute. */
export const streamKeepalive = create(TcpKeepaliveSchema, {
  keepaliveTime: 30,
  keepaliveInterval: 10,
  keepaliveProbes: 3,
});

/** Ejects an endpoint after failed connections, resets and time-outs in a row; never for what a backend answered. */
const outlierDetection = create(OutlierDetectionSchema, {
  splitExternalLocalOriginErrors: true,
  consecutiveLocalOriginFailure: 5,
  enforcingConsecutiveLocalOriginFailure: 100,
  enforcingLocalOriginSuccessRate: 0,
  enforcingConsecutive5xx: 0,
  enforcingConsecutiveGatewayFailure: 0,
  enforcingSuccessRate: 0,
  interval: duration(1_000),
  baseEjectionTime: duration(5_000),
  maxEjectionTime: duration(60_000),
  maxEjectionPercent: 100,
});

/** Builds clusters; the same spec gives the same object. */
export class Clusters {
  readonly #memo = new KeyedMemo<Cluster>();
  #wanBackends: Desired["wanBackends"] = new Map();

  /** Starts a pass. */
  startPass({ wanBackends }: Desired): void {
    this.#memo.endPass();
    this.#wanBackends = wanBackends;
  }

  /**
   * The Envoy cluster of a spec. Those that it is made of have specs of their own: see {@link withParts}. `pass`: of the
   * fleet, towards other clusters' gateways; without one such a cluster has no endpoints, and leads nowhere.
   */
  of(spec: ClusterSpec, shown?: Material, pass?: GatewayPass): Cluster {
    const limit = this.#limitOf(spec);
    if (spec.form === "Wan" && spec.mutualTls !== undefined) {
      const key = `${spec.name} ${pass?.identity.name ?? ""} ${pass?.authorities.name ?? ""}`;
      const dependencies = [spec.mutualTls.serverName, spec.hasAffinity, limit];
      return this.#memo.get(key, dependencies, () => wanCluster(spec, { pass, limit }));
    }
    const tls = spec.form === "Service" ? spec.tls : undefined;
    // The name says everything else; what is shown to a backend is its Gateway's own.
    const isHttp2 = spec.form === "Service" && spec.isHttp2;
    const certificate = tls && shown?.name;
    return this.#memo.get(
      `${spec.name} ${certificate ?? ""}`,
      [isHttp2, tls, hasAffinity(spec), limit],
      () => {
        if (spec.form === "HomeFirst") return aggregate(spec);
        const cluster = edsCluster(spec, limit);
        if (spec.form === "Wan" && spec.stream !== undefined)
          return create(ClusterSchema, {
            ...cluster,
            transportSocket: create(TransportSocketSchema, prefaced(spec.stream)),
          });
        if (tls === undefined) return cluster;
        const transportSocket = upstreamTls(tls, { isHttp2, certificate, source: overAds });
        return create(ClusterSchema, {
          ...cluster,
          transportSocket: create(TransportSocketSchema, transportSocket),
        });
      },
    );
  }

  /** Most requests under way at once, as the import says of which the cluster is a part. An aggregate leaves it to its parts. */
  #limitOf(spec: ClusterSpec): number | undefined {
    if (spec.form === "HomeFirst") return undefined;
    const dummy = spec.form === "Wan" ? spec.dummy : spec.importedAs;
    return dummy === undefined ? undefined : this.#wanBackends.get(dummy)?.concurrentRequests;
  }
}

function wanCluster(
  spec: WanClusterSpec,
  { pass, limit }: { readonly pass: GatewayPass | undefined; readonly limit: number | undefined },
): Cluster {
  const cluster = edsCluster(spec, limit);
  if (spec.mutualTls === undefined) return cluster;
  if (pass !== undefined) {
    const { stream } = spec;
    const tls = mutualTls(spec.mutualTls, pass, { source: overAds, isStream: stream !== undefined });
    const transportSocket = create(TransportSocketSchema, stream === undefined ? tls : prefaced(stream, tls));
    return create(ClusterSchema, { ...cluster, transportSocket });
  }
  const { edsClusterConfig: _over, ...rest } = cluster;
  return create(ClusterSchema, {
    ...rest,
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.STATIC },
  });
}

/** A spec and the specs of the clusters that it is made of, those first. */
export function withParts(spec: ClusterSpec): readonly ClusterSpec[] {
  return spec.form === "HomeFirst" ? [spec.home, spec.remote, spec] : [spec];
}

/** How long connections over the WAN are kept without a word from the other side. */
function socketsOf({ stream }: WanClusterSpec) {
  if (stream === undefined) return { upstreamBindConfig: wanSockets };
  return {
    upstreamBindConfig: streamSockets,
    upstreamConnectionOptions: { tcpKeepalive: streamKeepalive },
  };
}

function edsCluster(spec: Exclude<ClusterSpec, HomeFirstClusterSpec>, limit?: number): Cluster {
  const isWan = spec.form === "Wan";
  const isHttp2 = isWan || spec.isHttp2;
  // Home's part of a service over the WAN lists what is not ready too.
  const hasRetries = !isWan && !spec.listsNotReady && !spec.leavesRetriesToRules;
  const [http1Options, http2Options] = hasRetries ? [toHttp1Service, toHttp2Service] : [toHttp1, toHttp2];
  return create(ClusterSchema, {
    name: spec.name,
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.EDS },
    edsClusterConfig: { edsConfig: overAds },
    connectTimeout: duration(connectTimeoutMs),
    ...(spec.hasAffinity ? byHash : byLoad),
    ...(isWan ? socketsOf(spec) : {}),
    commonLbConfig: {
      healthyPanicThreshold: { value: 0 },
      ...(isWan ? { localityConfigSpecifier: { case: "localityWeightedLbConfig", value: {} } } : {}),
    },
    typedExtensionProtocolOptions: { [protocolOptionsKey]: isHttp2 ? http2Options : http1Options },
    circuitBreakers: limit === undefined ? unlimited : circuitBreakers(limit),
    outlierDetection,
  });
}

/** Home's pods before the peers' gateways; connections, health and balancing are the children's. */
function aggregate(spec: HomeFirstClusterSpec): Cluster {
  const config = pack(ClusterConfigSchema, { clusters: [spec.home.name, spec.remote.name] });
  return create(ClusterSchema, {
    name: spec.name,
    clusterDiscoveryType: {
      case: "clusterType",
      value: { name: "envoy.clusters.aggregate", typedConfig: config },
    },
    connectTimeout: duration(connectTimeoutMs),
    lbPolicy: Cluster_LbPolicy.CLUSTER_PROVIDED,
    commonLbConfig: { healthyPanicThreshold: { value: 0 } },
    circuitBreakers: unlimited,
  });
}
