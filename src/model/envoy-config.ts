/**
 * EnvoyConfig: what each fleet of Envoys is served. Made by `translate`, encoded and pushed by `serve`.
 *
 * Identity is meaning here too: a message that did not change is the same JavaScript object, so that `serve` never
 * encodes it twice.
 */
import type { Cluster } from "../envoy/envoy/config/cluster/v3/cluster_pb.ts";
import type { ClusterLoadAssignment } from "../envoy/envoy/config/endpoint/v3/endpoint_pb.ts";
import type { Listener } from "../envoy/envoy/config/listener/v3/listener_pb.ts";
import type { RouteConfiguration } from "../envoy/envoy/config/route/v3/route_pb.ts";
import type { VirtualHost } from "../envoy/envoy/config/route/v3/route_components_pb.ts";
import type { Secret } from "../envoy/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts";
import type { FleetName, PolicyAncestor, RouteParent } from "./desired.ts";
import type { Condition } from "./kube-object.ts";
import type { Redacted } from "./redacted.ts";
import type { SendsTo } from "./world.ts";

/** A RouteConfiguration in parts: `serve` concatenates the cached bytes of the virtual hosts. */
export interface RouteTable {
  /** Everything but `virtualHosts`, which is empty here. */
  readonly head: RouteConfiguration;
  /** In order. Names and domains are unique in the table. */
  readonly virtualHosts: readonly VirtualHost[];
}

/** All that one fleet is served, by resource name. */
export interface FleetConfig {
  readonly listeners: ReadonlyMap<string, Listener>;
  readonly routes: ReadonlyMap<string, RouteTable>;
  readonly clusters: ReadonlyMap<string, Cluster>;
  /** One for each EDS cluster, by the cluster's EDS service name. */
  readonly endpoints: ReadonlyMap<string, ClusterLoadAssignment>;
  /** Listener name → names of the route tables that it serves: tells `serve` whether a removed listener can still answer. */
  readonly tables: ReadonlyMap<string, readonly string[]>;
  /** Certificates with their keys, and authorities to check others by: only Envoys get to see them. */
  readonly secrets: ReadonlyMap<string, Redacted<Secret>>;
  /** Cluster name → names of the secrets without which it can't connect. Clusters without secrets are not in it. */
  readonly clusterSecrets: ReadonlyMap<string, readonly string[]>;
  /** Gateways that this fleet carries, by `namespace/name`. */
  readonly gateways: ReadonlyMap<string, GatewayResources>;
}

/** What must be acknowledged before a Gateway is Programmed. */
export interface GatewayResources {
  readonly generation: number;
  /** Names of listeners and route tables that hold the Gateway's part, and of the secrets of these listeners. */
  readonly listeners: readonly string[];
  readonly routes: readonly string[];
  readonly secrets: readonly string[];
}

export interface EnvoyConfig {
  readonly fleets: ReadonlyMap<FleetName, FleetConfig>;
  /** Ports of peers to which these fleets send; left out: none. See {@link Desired.sendsTo}. */
  readonly sendsTo?: SendsTo;
}

/** What translation found out about Gateway API objects; becomes their status (reconcile/gateway-status.ts). */
export interface Verdicts {
  /** By `namespace/name` of the Gateway. */
  readonly gateways: ReadonlyMap<string, GatewayVerdict>;
  /** By `namespace/name` of the ListenerSet, of Gateways that we serve. */
  readonly listenerSets: ReadonlyMap<string, ListenerSetVerdict>;
  /** By `namespace/name` of the HTTPRoute, then one per parentRef of a Gateway that we serve. */
  readonly httpRoutes: ReadonlyMap<string, readonly RouteVerdict[]>;
  /** The same of GRPCRoutes, TCPRoutes and TLSRoutes. */
  readonly grpcRoutes: ReadonlyMap<string, readonly RouteVerdict[]>;
  readonly tcpRoutes: ReadonlyMap<string, readonly RouteVerdict[]>;
  readonly tlsRoutes: ReadonlyMap<string, readonly RouteVerdict[]>;
  /** By `namespace/name` of the BackendTLSPolicy, for each Gateway whose routes lead to its targets. */
  readonly backendTlsPolicies: ReadonlyMap<string, readonly PolicyAncestor[]>;
}

export interface GatewayVerdict {
  /** Conditions without Programmed, which needs an Envoy's word. */
  readonly conditions: readonly Condition[];
  readonly listeners: readonly ListenerVerdict[];
  /** How many ListenerSets are accepted; left out where none asks. */
  readonly attachedListenerSets?: number;
}

export interface ListenerSetVerdict {
  /** `namespace/name`. */
  readonly gateway: string;
  /** Accepted; Programmed is added later. */
  readonly accepted: Condition;
  readonly listeners: readonly ListenerVerdict[];
}

export interface ListenerVerdict {
  readonly name: string;
  readonly attachedRoutes: number;
  readonly supportedKinds: readonly { readonly group: string; readonly kind: string }[];
  /** False: it lacks what it needs (a certificate), so that nothing of it can be programmed. */
  readonly isServed: boolean;
  /** Accepted, ResolvedRefs, Conflicted; Programmed is added later. */
  readonly conditions: readonly Condition[];
}

/** Accepted and ResolvedRefs of a route at one parent, named as in the route's spec. */
export type RouteVerdict = RouteParent;

export interface Translation {
  readonly config: EnvoyConfig;
  readonly verdicts: Verdicts;
}

/** What Envoys have said of a Gateway's resources, over all replicas of the controller. */
export interface Acknowledgement {
  /** Generation whose resources some Envoy has accepted, if any. */
  readonly programmed?: number;
  /** Set when an Envoy refused the current resources: Envoy's own words. */
  readonly refused?: string;
}

/** A route that some Envoy of a fleet does not carry out, because it refused its part of a table or a cluster that it names. */
export interface RefusedRoute {
  readonly fleet: FleetName;
  readonly kind: "HTTPRoute" | "GRPCRoute";
  /** `namespace/name`. */
  readonly key: string;
  /** Envoy's own words; empty where it said them to a replica that is gone. */
  readonly reason: string;
}

/** By `namespace/name` of the Gateway. */
export type Acknowledgements = ReadonlyMap<string, Acknowledgement>;
