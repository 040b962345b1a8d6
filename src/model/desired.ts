/**
 * Desired: all that should stand in the home cluster, and what the gateways need to know beside it. Made by `reconcile`,
 * read by `apply` (objects, statuses) and `translate` (gateways, WAN backends).
 *
 *     World → reconcile → Desired → apply → the home cluster
 *                            └────→ translate → EnvoyConfig
 */
import type { AccessRule } from "../api/access-policy.ts";
import type { TrustedAuthority, WantedIdentity } from "./identity.ts";
import type { KindName, ObjectTypes } from "./kinds.ts";
import type { Condition, KubeObject } from "./kube-object.ts";
import type { Problem } from "./problem.ts";
import type { ClusterId, SendsTo } from "./world.ts";

/** `<KindName>/<namespace>/<name>`, or `<KindName>/<name>` for cluster-scoped kinds. */
export type ObjectKey = string;

/** The key of an object of a kind; `key` is that of its Store. */
export const objectKey = (kind: KindName, key: string): ObjectKey => `${kind}/${key}`;

/** The whole intent for one object: applied by server-side apply as field manager `mc-wan`. */
export interface DesiredObject {
  readonly kind: KindName;
  /** Carries managed-by, labels that lead to the cause, and the owner. Holds nothing that the server fills in. */
  readonly object: KubeObject;
}

/**
 * What a status should say. `apply` merges: conditions by type (it fills lastTransitionTime), and leaves alone what
 * other controllers wrote.
 */
export type DesiredStatus = {
  readonly kind: KindName;
  /** `namespace/name` or `name`. */
  readonly key: string;
} & (
  | {
      /** status.conditions, and other fields of status that we own, whole. */
      readonly form: "Conditions";
      readonly conditions: readonly Condition[];
      readonly fields?: Readonly<Record<string, unknown>>;
    }
  | {
      /** status.parents of a route: only the entries of our controllerName are ours (read-modify-write). */
      readonly form: "RouteParents";
      readonly parents: readonly RouteParent[];
    }
  | {
      /** status.ancestors of a policy, in the same way. */
      readonly form: "PolicyAncestors";
      readonly ancestors: readonly PolicyAncestor[];
    }
);

/** One entry of a policy's status.ancestors, ours. */
export interface PolicyAncestor {
  readonly ancestorRef: RouteParent["parentRef"];
  readonly conditions: readonly Condition[];
}

/** One entry of a route's status.parents, ours. */
export interface RouteParent {
  readonly parentRef: {
    readonly group?: string;
    readonly kind?: string;
    readonly namespace?: string;
    readonly name: string;
    readonly sectionName?: string;
    readonly port?: number;
  };
  readonly conditions: readonly Condition[];
}

/** Name of a set of Envoys that get the same configuration: `mc-wan-ingress`, `mc-wan-egress`, `<namespace>.<gateway>`. */
export type FleetName = string;

/** A Gateway that mc-wan's own Envoys carry. */
export interface ServedGateway {
  readonly gateway: ObjectTypes["Gateway"];
  readonly fleet: FleetName;
  /** status.addresses, as IP addresses. */
  readonly addresses: readonly string[];
  /** Why the Gateway as a whole is not accepted: nothing of it is served. */
  readonly refusal?: Problem;
  /** Why it is not programmed: an address that it asks for can't be had. */
  readonly addressProblem?: Problem;
  /** Users' Gateways: their ListenerSets, in the order of precedence. */
  readonly listenerSets?: readonly ServedListenerSet[];
  /** Only for Gateways that reconcile made: never decided by a label. */
  readonly pooled?: PooledGateway;
}

/** A ListenerSet whose parent is a Gateway that we serve. */
export interface ServedListenerSet {
  readonly set: ObjectTypes["ListenerSet"];
  /** Whether the Gateway lets its namespace add listeners. */
  readonly isAllowed: boolean;
}

/** How a generated Gateway shares the Envoys of a pool. */
export interface PooledGateway {
  readonly role: "Ingress" | "Egress";
  readonly service: ServiceRef;
  /** Ingress: the service's TCP ports, whose connections are let through to its Pods. */
  readonly tcp?: {
    readonly ports: readonly number[];
    /** A client stays with one Pod. */
    readonly hasAffinity: boolean;
  };
  /** The names of the Gateway's service, lower case: a route's effective hostnames are its own ∩ these. */
  readonly hostnames: readonly string[];
  /** Listener name → port that Envoy binds. Ingress: the policy's port. Egress: one of 20000-29999. */
  readonly containerPorts: Readonly<Record<string, number>>;
  /** Ingress: who may call the service. Left out: every cluster of the set. */
  readonly access?: ServiceAccess;
  /** Egress: most requests in a second that an Envoy lets through at each HTTP port. Left out: all. */
  readonly requestsPerSecond?: number;
}

/** Who of other clusters may call an exported service, and what. */
export interface ServiceAccess {
  /** Ids of the clusters that may call at all. Left out: every one of the set. */
  readonly clusters?: readonly ClusterId[];
  /** A request passes if one of them lets it. Left out: every request does. */
  readonly rules?: readonly AccessRule[];
}

export interface ServiceRef {
  readonly namespace: string;
  readonly name: string;
}

/** Where requests to one service over one WAN policy go. The key in {@link Desired.wanBackends} is the dummy Service's name. */
export interface WanBackend {
  readonly service: ServiceRef;
  readonly policy: string;
  /** Exporting clusters that are reached through their gateways and have ready backends, sorted by cluster. */
  readonly remote: readonly WanLocality[];
  /** Set if some exporting peer, ready or not, doesn't take requests for all ports: see {@link WanLocality.ports}. */
  readonly differsByPort?: true;
  /** Numbers of the TCP ports of the service, ascending; left out: it has none. */
  readonly tcpPorts?: readonly number[];
  /**
   * Set if the policy's mode is MutualTLS: all clusters that export the service, sorted. Their ingress gateways, and nobody
   * else, may answer.
   */
  readonly exporters?: readonly ClusterId[];
  /**
   * Set if the home cluster exports the service and its Pods are tried before `remote`, past any gateway. Ports of the
   * service are told apart by number.
   */
  readonly home?: ServiceRef;
  /** Per cent of a tier's endpoints that have to be healthy for it to keep all requests; left out: Envoy's 71. */
  readonly spillOverBelow?: number;
  /** Most requests (of TCP: connections) that an Envoy has under way at once to `home`, and to `remote`; left out: no limit that counts. */
  readonly concurrentRequests?: number;
  /** A client stays with one cluster, by its address. Never with `home`. */
  readonly hasAffinity?: true;
}

/** One cluster's share of a service. */
export interface WanLocality {
  readonly cluster: ClusterId;
  /** 0 or left out: preferred; then 1, … Gaps mean nothing. */
  readonly tier?: number;
  /** Ready backends there: the weight of the locality. Above 0. */
  readonly weight: number;
  /** Numbers of the service's HTTP ports that it takes requests for, ascending; left out: all. */
  readonly ports?: readonly number[];
  /** The same for TCP; left out: none. */
  readonly tcpPorts?: readonly number[];
  /** Ingress gateways of that cluster which listen for the policy. */
  readonly endpoints: readonly { readonly address: string; readonly port: number; readonly zone?: string }[];
}

/** Where a TCP connection is tried. */
export interface ProbeTarget {
  /** IPv4. */
  readonly address: string;
  readonly port: number;
  /** Clients meet it past any Envoy, and its cluster can't say that it has gone. */
  readonly isUrgent?: true;
}

/** The key of a target in {@link World.answering}. */
export const probeKey = ({ address, port }: Pick<ProbeTarget, "address" | "port">): string =>
  `${address}:${port}`;

/** A port that a WANPolicy had before its own and at which the shared ingress pool still listens. */
export interface DrainingPort {
  readonly policy: string;
  readonly port: number;
  /** How it is spoken to, as peers were told; left out: in plain text. */
  readonly mode?: "MutualTLS" | "Plain";
}

/** Addresses (IPv4, sorted) of the home Pods of an account, by `<namespace>/<service account>`; sorted. */
export type VouchedClients = Readonly<Record<string, readonly string[]>>;

export interface Desired {
  readonly objects: ReadonlyMap<ObjectKey, DesiredObject>;
  /** Of everything but Gateways and routes, which follow from the translation (see gateway-status.ts). */
  readonly statuses: ReadonlyMap<ObjectKey, DesiredStatus>;
  /** Generated and users' Gateways of our class, sorted by namespace/name. */
  readonly gateways: readonly ServedGateway[];
  /** Generated and users' HTTPRoutes, by `namespace/name`. Ours are as reconcile wants them, whatever stands in the cluster. */
  readonly httpRoutes: ReadonlyMap<string, ObjectTypes["HTTPRoute"]>;
  /** Users' GRPCRoutes, by `namespace/name`: mc-wan makes none. */
  readonly grpcRoutes: ReadonlyMap<string, ObjectTypes["GRPCRoute"]>;
  /** Generated and users' TCPRoutes, by `namespace/name`; ours are here even where the cluster does not have the kind. */
  readonly tcpRoutes: ReadonlyMap<string, ObjectTypes["TCPRoute"]>;
  /** Generated and users' ReferenceGrants, by `namespace/name`. */
  readonly referenceGrants: ReadonlyMap<string, ObjectTypes["ReferenceGrant"]>;
  /** By the name of the dummy Service in namespace `mc-wan`. */
  readonly wanBackends: ReadonlyMap<string, WanBackend>;
  /**
   * By `namespace/name` of an imported service: for whose requests to it the egress gateways say from whom they come. Only
   * services of which some exporter asks. The same object while it is the same.
   */
  readonly clients: ReadonlyMap<string, VouchedClients>;
  /** Gateways of peers, at the port of each policy: somebody has to look whether they can be reached. Sorted, each once. */
  readonly probes: readonly ProbeTarget[];
  /** The fleet of each ServiceAccount of gateways, by `namespace/name`. The same Map while it is the same. */
  readonly accounts: ReadonlyMap<string, FleetName>;
  /** Certificates that shall exist, sorted by fleet. Their keys are made by whoever issues them (apply/identity-issuer.ts). */
  readonly identities: readonly WantedIdentity[];
  /** Whose word is taken: home's own authorities and those of all peers that are heard, sorted by cluster. */
  readonly trust: readonly TrustedAuthority[];
  /** Sorted by policy and port; none of it is a port that an accepted policy has. */
  readonly draining: readonly DrainingPort[];
  /** The ports that peers advertise: whatever follows from this Desired sends to these. The same object while they are the same. */
  readonly sendsTo: SendsTo;
  /** Peers that don't say that they trust all of home's authorities, sorted: a new one signs nothing yet. */
  readonly unaware: readonly ClusterId[];
}
