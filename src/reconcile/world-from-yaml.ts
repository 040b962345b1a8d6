/**
 * A World out of a YAML file, for tests: lists of Kubernetes objects as kubectl would print them, settings and what Pods
 * listen to. Everything that a case needs is in its file.
 */
import { kinds, type KindName } from "../model/kinds.ts";
import { clientPodOf } from "../model/client-pod.ts";
import { clusterIdentity, controllerIdentityOf, identitySecretOf } from "../model/identity.ts";
import { keyOf, type KubeObject } from "../model/kube-object.ts";
import { labels } from "../model/names.ts";
import { Redacted } from "../model/redacted.ts";
import { authorityConfigMapOf, tlsSecretOf } from "../model/tls-objects.ts";
import { usualStaleAfterMs } from "../model/partition.ts";
import {
  homeKinds,
  peerKinds,
  type HomeKind,
  type HomeObjects,
  type Peer,
  type PeerObjects,
  type SendsTo,
  type Settings,
  type World,
} from "../model/world.ts";

/** The file's form. */
export interface WorldFile {
  readonly homeId?: string;
  readonly settings?: Partial<Settings>;
  readonly home?: readonly KubeObject[];
  readonly peers?: readonly {
    readonly id: string;
    readonly state?: Peer["state"];
    readonly problem?: Peer["problem"];
    readonly staleSince?: string;
    readonly unheardForMs?: number;
    readonly objects?: readonly KubeObject[];
    readonly refused?: Peer["refused"];
  }[];
  /** Kinds that the home cluster does not have. */
  readonly absentKinds?: readonly HomeKind[];
  /** Nobody can tell by what gateways would check the controller. */
  readonly hasNoAuthority?: boolean;
  /** Keys of Secrets whose certificates have ended. */
  readonly expired?: readonly string[];
  /** Ports by Pod name. */
  readonly listening?: Readonly<Record<string, readonly number[]>>;
  /** Ports of peers that Pods send to, by Pod name. */
  readonly sending?: Readonly<Record<string, SendsTo>>;
  /** Draining ports that have waited long enough, as `policy:port`. */
  readonly overdue?: readonly string[];
  /** Gateways of stale peers that were probed, by `address:port`. */
  readonly answering?: Readonly<Record<string, boolean>>;
}

/** What controllers show to Envoys where a file doesn't have it. */
const someIdentity: NonNullable<World["controllerIdentity"]> = {
  certificatePem: "certificate of the controller",
  keyPem: new Redacted("its key"),
  bundle: "authorities of the cluster",
};

/** Settings where a file doesn't say otherwise. */
const testSettings: Settings = {
  envoyImage: "mc-wan/envoy:test",
  xdsAddress: { host: "mcwan.mc-wan-system.svc.cluster.local", port: 18000 },
  dummyEndpoints: "All",
  legacyEndpoints: false,
  poolReplicas: 2,
  dataPlane: { name: "envoy" },
  trustDomain: "mc-wan.l7mp.io",
  ingress: { mode: "PodIP", addresses: [] },
};

/** The kind of an object by its coordinates. */
export function kindOf(object: KubeObject): KindName {
  const group = (apiVersion: string): string =>
    apiVersion.includes("/") ? (apiVersion.split("/")[0] ?? "") : "";
  for (const [name, info] of Object.entries(kinds)) {
    // Secrets of peers are in no World.
    if (name === "Secret") continue;
    if (info.kind === "Secret" && (name === "IdentitySecret") !== isOfIdentity(object)) continue;
    if (info.kind === object.kind && group(info.apiVersion) === group(object.apiVersion))
      return name as KindName;
  }
  throw new Error(`${object.apiVersion} ${object.kind} is no kind of ours`);
}

const isOfIdentity = ({ metadata }: KubeObject): boolean => metadata.labels?.[labels.identity] !== undefined;

/** What observe keeps of objects that it doesn't keep as a whole. */
const keptOf: Partial<Record<KindName, (object: KubeObject) => KubeObject>> = {
  TlsSecret: tlsSecretOf,
  IdentitySecret: identitySecretOf,
  ConfigMap: authorityConfigMapOf,
};

function storesOf<K extends HomeKind>(
  names: readonly K[],
  objects: readonly KubeObject[],
): Record<K, Map<string, KubeObject>> {
  const stores = Object.fromEntries(names.map((name) => [name, new Map<string, KubeObject>()])) as Record<
    K,
    Map<string, KubeObject>
  >;
  for (const object of objects) {
    const kind = kindOf(object);
    if (!names.includes(kind as K)) throw new Error(`${kind} is not watched there`);
    const store = stores[kind as K];
    const key = keyOf(object.metadata);
    if (store.has(key)) throw new Error(`${kind} ${key} stands twice`);
    if (kind === "Pod") stores["ClientPod" as K].set(key, clientPodOf(object));
    // Others are followed as clients only.
    if (kind === "Pod" && object.metadata.labels?.[labels.fleet] === undefined) continue;
    store.set(key, keptOf[kind]?.(object) ?? object);
  }
  return stores;
}

/** The World of a file. */
export function worldFrom(file: WorldFile): World {
  const home = storesOf(homeKinds, file.home ?? []) as unknown as HomeObjects;
  const settings = { ...testSettings, ...file.settings };
  return {
    homeId: file.homeId,
    home,
    peers: (file.peers ?? [])
      .map(
        ({
          id,
          state = "Synced",
          problem,
          staleSince,
          unheardForMs = usualStaleAfterMs,
          objects = [],
          refused = [],
        }): Peer => ({
          id,
          secret: `peer-${id}`,
          state,
          ...(problem && { problem }),
          ...(staleSince !== undefined && { staleSinceMs: Date.parse(staleSince) }),
          ...(state === "Stale" && { unheardForMs }),
          objects: storesOf(peerKinds, objects) as unknown as PeerObjects,
          refused,
        }),
      )
      .sort((a, b) => (a.id < b.id ? -1 : 1)),
    absentKinds: new Set(file.absentKinds),
    expired: new Set(file.expired),
    listening: new Map(Object.entries(file.listening ?? {}).map(([pod, ports]) => [pod, new Set(ports)])),
    sending: new Map(Object.entries(file.sending ?? {})),
    overdue: new Set(file.overdue),
    answering: new Map(Object.entries(file.answering ?? {})),
    identity: clusterIdentity(home.IdentitySecret, file.homeId, settings),
    controllerIdentity: file.hasNoAuthority
      ? undefined
      : (controllerIdentityOf(home.IdentitySecret) ?? someIdentity),
    settings,
  };
}
