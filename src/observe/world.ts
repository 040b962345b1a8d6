/**
 * Puts Worlds together out of what the watches hold. What did not change is the same JavaScript object as in the World
 * before, up to the World itself.
 */
import type { KindName, ObjectTypes } from "../model/kinds.ts";
import type { KubeObject } from "../model/kube-object.ts";
import { clientPodOf } from "../model/client-pod.ts";
import { clusterIdentity, controllerIdentityOf, identitySecretOf } from "../model/identity.ts";
import { clusterIdProperty, labels, ownerCrd, systemNamespace } from "../model/names.ts";
import { authorityConfigMapOf, tlsSecretOf, tlsSecretType } from "../model/tls-objects.ts";
import { homeKinds } from "../model/world.ts";
import type { ClusterId, HomeKind, HomeObjects, Peer, Settings, Store, World } from "../model/world.ts";
import type { WatchedKind } from "./cluster-watch.ts";
import { isDnsLabel } from "./peer-secrets.ts";

const ours = { labels: `${labels.managedBy}=${labels.managedByValue}` };

/** Which objects of each home kind are followed; all where nothing is said (see model/world.ts). */
const selections: Partial<Record<HomeKind, WatchedKind["selection"]>> = {
  Pod: { labels: labels.fleet },
  Endpoints: ours,
  ServiceAccount: ours,
  Deployment: ours,
  PodDisruptionBudget: ours,
  CustomResourceDefinition: { fields: `metadata.name=${ownerCrd}` },
  TlsSecret: { fields: `type=${tlsSecretType}`, labels: `!${labels.identity}` },
  IdentitySecret: { namespace: systemNamespace, labels: labels.identity },
};

/** A flag can stand for ClusterProperty; Kubernetes before 1.33 has no ServiceCIDR; not everyone installs all of Gateway API. */
const optionalKinds: ReadonlySet<HomeKind> = new Set([
  "ClusterProperty",
  "ServiceCIDR",
  "GRPCRoute",
  "ListenerSet",
  "TCPRoute",
  "TLSRoute",
  "BackendTLSPolicy",
  "EnvoyProxy",
]);

/** Others' objects, of which little is kept; who wants no TLS at Gateways need not let them be read. */
const ofCertificates: Partial<WatchedKind> = { mayBeForbidden: true, pageSize: 50 };

/** How else kinds are followed than as a whole. */
const ways: Partial<Record<HomeKind, Partial<WatchedKind>>> = {
  Node: { project: podRangesOf },
  ClientPod: { project: clientPodOf, pageSize: 200 },
  TlsSecret: { ...ofCertificates, project: tlsSecretOf },
  IdentitySecret: { project: identitySecretOf },
  ConfigMap: { ...ofCertificates, project: authorityConfigMapOf },
  EnvoyProxy: { mayBeForbidden: true },
};

/** The home kinds that the settings ask for, as a ClusterWatch takes them. */
export function watchedHomeKinds({ dataPlane }: Settings): readonly WatchedKind[] {
  // What is not looked at needs no right to be read.
  const isOther = dataPlane.name === "gateway-api";
  const isWatched = (name: HomeKind): boolean =>
    (name !== "EnvoyProxy" || isOther) && (name !== "ClientPod" || !isOther);
  return homeKinds.filter(isWatched).map((name) => ({
    name,
    selection: selections[name] ?? {},
    isOptional: optionalKinds.has(name),
    ...ways[name],
  }));
}

/** What is kept of a Node: heartbeats in its status, every few seconds from every node, must make no new World. */
function podRangesOf({ apiVersion, kind, metadata, ...node }: KubeObject): KubeObject {
  const { podCIDR, podCIDRs } = (node["spec"] ?? {}) as { podCIDR?: unknown; podCIDRs?: unknown };
  const ranges: readonly unknown[] = Array.isArray(podCIDRs) ? podCIDRs : [podCIDR];
  const { name, uid } = metadata;
  return {
    apiVersion,
    kind,
    metadata: { name, ...(uid !== undefined && { uid }) },
    spec: { podCIDRs: ranges.filter((range) => typeof range === "string") },
  };
}

/** All that goes into a World. */
export interface WorldParts {
  readonly objects: (kind: KindName) => ReadonlyMap<string, KubeObject>;
  /** Kinds that the home cluster does not have. */
  readonly absent: ReadonlySet<KindName>;
  readonly peers: readonly Peer[];
  readonly listening: World["listening"];
  readonly sending: World["sending"];
  readonly overdue: World["overdue"];
  readonly answering: World["answering"];
  readonly expired: World["expired"];
  readonly settings: Settings;
  /** The cluster's id from the command line. */
  readonly clusterId: ClusterId | undefined;
}

/** The next World, or `before` if nothing changed. */
export function nextWorld(before: World | undefined, parts: WorldParts): World {
  const home = nextHome(before?.home, parts);
  const absentKinds = nextAbsent(before?.absentKinds, parts.absent);
  const homeId = homeIdOf(home.ClusterProperty, parts.clusterId);
  const { peers, listening, sending, overdue, answering, expired, settings } = parts;
  const hasSameSecrets = before?.home.IdentitySecret === home.IdentitySecret;
  const hasSameIdentity = hasSameSecrets && before.homeId === homeId && before.settings === settings;
  const isSame =
    before?.home === home &&
    before.absentKinds === absentKinds &&
    before.homeId === homeId &&
    before.peers === peers &&
    before.listening === listening &&
    before.sending === sending &&
    before.overdue === overdue &&
    before.answering === answering &&
    before.expired === expired &&
    before.settings === settings;
  return before !== undefined && isSame
    ? before
    : {
        homeId,
        home,
        absentKinds,
        peers,
        listening,
        sending,
        overdue,
        answering,
        expired,
        identity: hasSameIdentity ? before.identity : clusterIdentity(home.IdentitySecret, homeId, settings),
        controllerIdentity: hasSameSecrets
          ? before.controllerIdentity
          : controllerIdentityOf(home.IdentitySecret),
        settings,
      };
}

/** The same Set while the same home kinds are missing. */
function nextAbsent(
  before: World["absentKinds"] | undefined,
  absent: WorldParts["absent"],
): World["absentKinds"] {
  const kinds = homeKinds.filter((kind) => absent.has(kind));
  return before?.size === kinds.length && kinds.every((kind) => before.has(kind)) ? before : new Set(kinds);
}

/** The id in the cluster's ClusterProperty if it is a DNS label, else the one from the command line. */
export function homeIdOf(
  properties: Store<ObjectTypes["ClusterProperty"]>,
  fromFlag: ClusterId | undefined,
): ClusterId | undefined {
  const value: unknown = (properties.get(clusterIdProperty) as { spec?: { value?: unknown } } | undefined)
    ?.spec?.value;
  return typeof value === "string" && isDnsLabel(value) ? value : fromFlag;
}

/** Pods are many and come and go all the time: while nobody asks who clients are, a World has none. */
const noPods: ReadonlyMap<string, KubeObject> = new Map();
const asking = new WeakMap<object, boolean>();

function asksForClients(advertised: HomeObjects["ServiceAdvertisement"]): boolean {
  let isAsking = asking.get(advertised);
  if (isAsking === undefined) {
    isAsking = advertised.values().some(({ spec }) => (spec.clients ?? []).length > 0);
    asking.set(advertised, isAsking);
  }
  return isAsking;
}

function nextHome(before: HomeObjects | undefined, parts: WorldParts): HomeObjects {
  const advertised = [
    parts.objects("ServiceAdvertisement") as unknown as HomeObjects["ServiceAdvertisement"],
    ...parts.peers.map((peer) => peer.objects.ServiceAdvertisement),
  ];
  const isAsked = advertised.some(asksForClients);
  const objects: WorldParts["objects"] = (kind) =>
    kind === "ClientPod" && !isAsked ? noPods : parts.objects(kind);
  const isSame =
    before !== undefined && homeKinds.every((kind) => before[kind] === (objects(kind) as unknown));
  if (isSame) return before;
  return Object.fromEntries(homeKinds.map((kind) => [kind, objects(kind)])) as unknown as HomeObjects;
}
