/**
 * World: all that was seen of all clusters at one moment, read-only. Made by `observe`, read by the pure stages.
 *
 *     clusters → observe → World → reconcile → Desired
 *
 * Identity is meaning: an object that did not change is the same JavaScript object, and a Store in which nothing
 * changed is the same Map, in every later World. Pure stages memoise on that.
 */
import type { GatewayAdvertisement } from "../api/gateway-advertisement.ts";
import type { ClusterIdentity, ControllerIdentity } from "./identity.ts";
import type { ObjectTypes } from "./kinds.ts";
import type { Problem } from "./problem.ts";

/** A cluster's id (KEP-2149): a DNS label. */
export type ClusterId = string;

/** Objects of one kind by `namespace/name` (or `name`). */
export type Store<T> = ReadonlyMap<string, T>;

/**
 * Kinds that are watched in the home cluster. Pods: only those labelled as our gateways. ClientPods: of all Pods their account and
 * addresses; none while no ServiceAdvertisement asks for clients, or where another implementation carries the traffic. Secrets: only peers' Secrets in
 * `mc-wan-system` and never their data (observe keeps that to itself). TlsSecrets: those of type kubernetes.io/tls, of
 * these certificate and key. IdentitySecrets: those that mc-wan made in its namespace for its authority and its gateways, without
 * the authority's key. ConfigMaps: only the authorities under `ca.crt`. CustomResourceDefinitions: only
 * `wanpolicies.mc-wan.l7mp.io`, the owner of what has no other. Endpoints, ServiceAccounts, Deployments and
 * PodDisruptionBudgets: only those labelled managed-by mc-wan. EndpointSlices and Services: all. Nodes: only their pod
 * ranges. ServiceCIDRs: none before Kubernetes 1.33. EnvoyProxies: only where another implementation carries the traffic.
 */
export const homeKinds = [
  "Namespace",
  "Node",
  "ServiceCIDR",
  "Service",
  "EndpointSlice",
  "Endpoints",
  "Pod",
  "ClientPod",
  "ServiceAccount",
  "Deployment",
  "PodDisruptionBudget",
  "CustomResourceDefinition",
  "GatewayClass",
  "Gateway",
  "ListenerSet",
  "HTTPRoute",
  "GRPCRoute",
  "TCPRoute",
  "TLSRoute",
  "BackendTLSPolicy",
  "TlsSecret",
  "IdentitySecret",
  "ConfigMap",
  "ReferenceGrant",
  "EnvoyProxy",
  "ServiceExport",
  "McsServiceImport",
  "ClusterProperty",
  "AccessPolicy",
  "WANPolicy",
  "ServiceImport",
  "ServiceAdvertisement",
  "GatewayAdvertisement",
] as const;
export type HomeKind = (typeof homeKinds)[number];

/** All that an account of a peer may read. */
export const peerKinds = ["WANPolicy", "ServiceAdvertisement", "GatewayAdvertisement"] as const;
export type PeerKind = (typeof peerKinds)[number];

export type HomeObjects = { readonly [K in HomeKind]: Store<ObjectTypes[K]> };
export type PeerObjects = { readonly [K in PeerKind]: Store<ObjectTypes[K]> };

/** An object of a peer that this version of mc-wan can't read: newer than it, or wrong. */
export interface RefusedObject {
  readonly kind: PeerKind;
  /** `namespace/name` or `name`. */
  readonly key: string;
  readonly problem: Problem;
  /** Whether what it said when it could last be read is among the peer's objects, and in force. */
  readonly isKept: boolean;
}

/** Another cluster of the set. Its id comes from the Secret, never from what the peer says. */
export interface Peer {
  readonly id: ClusterId;
  /** Name of the Secret in `mc-wan-system`. */
  readonly secret: string;
  /**
   * `Synced`: every kind was listed and the watches live. `Stale`: was synced; the connection is lost and what it last
   * said stays in force. `Unsynced`: never heard of: unknown is not empty. `Refused`: the kubeconfig is not usable.
   */
  readonly state: "Synced" | "Stale" | "Unsynced" | "Refused";
  /** Why it is `Refused` or `Stale`. */
  readonly problem?: Problem;
  /** Since when it is `Stale`, in ms since 1970. */
  readonly staleSinceMs?: number;
  /**
   * Of the durations after which an import of home, or the settings, take a peer for stale: the longest for which it was not
   * heard, by the monotonic clock. Only while it is `Stale`; left out: none of them is over.
   */
  readonly unheardForMs?: number;
  readonly objects: PeerObjects;
  /** In the order of kinds and keys. Almost always empty. */
  readonly refused: readonly RefusedObject[];
}

/** What the operator chose, from flags and environment of `mcwan controller`. */
export interface Settings {
  /** Image of the Envoy of shared pools and of users' Gateways. */
  readonly envoyImage: string;
  /** Host and port at which Envoys reach the controller's ADS. */
  readonly xdsAddress: { readonly host: string; readonly port: number };
  /** Which dummies get EndpointSlices: every one, or those that a route names. */
  readonly dummyEndpoints: "All" | "Referenced";
  /** Writes the deprecated Endpoints beside each proxy slice. */
  readonly legacyEndpoints: boolean;
  /** Replicas of each shared pool, and of each user's Gateway. */
  readonly poolReplicas: number;
  /**
   * Who carries the traffic: mc-wan's own Envoys, or another implementation of Gateway API, by the name of its
   * GatewayClass.
   */
  readonly dataPlane:
    { readonly name: "envoy" } | { readonly name: "gateway-api"; readonly gatewayClassName: string };
  /** What the trust domains of all clusters of the set end in. */
  readonly trustDomain: string;
  /** What becomes of a cluster that is not heard, where an import doesn't say: Keep after 5 s if left out. */
  readonly partition?: { readonly onPartition: "Keep" | "Drain"; readonly staleAfterMs: number };
  /** Where peers reach the shared ingress pool. */
  readonly ingress: {
    readonly mode: GatewayAdvertisement["spec"]["mode"];
    /** IPv4, reachable, each once; of mode Static only, else empty. */
    readonly addresses: readonly string[];
  };
}

/** Ports of peers' gateways, by cluster and WANPolicy; ascending, each once. */
export type SendsTo = Readonly<Record<ClusterId, Readonly<Record<string, readonly number[]>>>>;

/** The key of a port that a policy had before, in {@link World.overdue}. */
export const drainingKey = ({ policy, port }: { readonly policy: string; readonly port: number }): string =>
  `${policy}:${port}`;

/** Whether a peer has been heard of: what it says, or last said, is in force. */
export const isHeard = ({ state }: Peer): boolean => state === "Synced" || state === "Stale";

export interface World {
  /** The home cluster's id: its ClusterProperty `cluster.clusterset.k8s.io`, or the flag; undefined while neither is there. */
  readonly homeId: ClusterId | undefined;
  readonly home: HomeObjects;
  /** Kinds that the home cluster does not have: nothing of them can be written. */
  readonly absentKinds: ReadonlySet<HomeKind>;
  /** Sorted by id. */
  readonly peers: readonly Peer[];
  /** `namespace/name` of TlsSecrets whose certificates have ended. */
  readonly expired: ReadonlySet<string>;
  /**
   * Ports on which each gateway Pod (by Pod name) is known to listen, from what its Envoy has acknowledged. A Pod that is
   * not in here is unknown, not silent: what was said of it before stays (see reconcile/gateway-pods.ts).
   */
  readonly listening: ReadonlyMap<string, ReadonlySet<number>>;
  /**
   * Ports of peers to which each gateway Pod's Envoy may send, from what it was sent and has acknowledged. A Pod that is
   * not in here is unknown: what was said of all of them before stays.
   */
  readonly sending: ReadonlyMap<string, SendsTo>;
  /** Draining ports of our own advertisement that have waited for peers for long enough, by {@link drainingKey}. */
  readonly overdue: ReadonlySet<string>;
  /**
   * Whether gateways that {@link Desired.probes} names take connections, by `address:port`. One that is not in here is
   * unknown: what was said of it before stays. Every replica looks for itself.
   */
  readonly answering: ReadonlyMap<string, boolean>;
  /** Who home's gateways are; undefined until there is an authority, and the cluster has an id. */
  readonly identity?: ClusterIdentity | undefined;
  /** What the controller shows to Envoys; undefined until it was issued. */
  readonly controllerIdentity?: ControllerIdentity | undefined;
  readonly settings: Settings;
}
