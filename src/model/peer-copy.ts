/**
 * What is kept of a peer across restarts: the objects that it last said, as text. The same objects give the same text.
 *
 * Pure. What of an object is kept is what consumers read; its status is not.
 */
import type { KubeObject } from "./kube-object.ts";
import { keyOf } from "./kube-object.ts";
import { sortedEntries } from "./order.ts";
import { isRecord } from "./record.ts";
import { peerKinds } from "./world.ts";
import type { PeerKind, PeerObjects, Store } from "./world.ts";

/** Objects of a peer, not looked at yet, by kind and key. */
export type RawPeer = Readonly<Record<PeerKind, ReadonlyMap<string, KubeObject>>>;

/** The text of a peer's objects. */
export function peerText(objects: PeerObjects): string {
  return JSON.stringify(
    Object.fromEntries(
      peerKinds.map((kind) => {
        const store: Store<KubeLike> = objects[kind];
        return [kind, sortedEntries(store).map(([, object]) => kept(object))];
      }),
    ),
  );
}

/** The objects in a text; undefined if it holds none. What each of them says is for the peers' parser to judge. */
export function peerOfText(text: string): RawPeer | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isRecord(value)) return undefined;
  const said = value;
  const storeOf = (kind: PeerKind): ReadonlyMap<string, KubeObject> => {
    const list: readonly unknown[] = Array.isArray(said[kind]) ? said[kind] : [];
    return new Map(list.filter(isObject).map((object) => [keyOf(object.metadata), object]));
  };
  return {
    WANPolicy: storeOf("WANPolicy"),
    ServiceAdvertisement: storeOf("ServiceAdvertisement"),
    GatewayAdvertisement: storeOf("GatewayAdvertisement"),
  };
}

function kept({ apiVersion, kind, metadata, spec }: KubeLike): object {
  const { name, namespace, uid, creationTimestamp, generation } = metadata;
  return {
    apiVersion,
    kind,
    metadata: { name, namespace, uid, creationTimestamp, generation },
    spec,
  };
}

type KubeLike = Pick<KubeObject, "apiVersion" | "kind" | "metadata"> & { readonly spec: unknown };

const isObject = (value: unknown): value is KubeObject =>
  isRecord(value) && isRecord(value["metadata"]) && typeof value["metadata"]["name"] === "string";
