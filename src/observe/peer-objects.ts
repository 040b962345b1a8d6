/**
 * A peer's objects, parsed: what a peer says is checked one object at a time, and a bad one harms itself only.
 */
import { parseGatewayAdvertisement } from "../api/gateway-advertisement.ts";
import { parseServiceAdvertisement } from "../api/service-advertisement.ts";
import { parseWANPolicy } from "../api/wan-policy.ts";
import type { Parsed } from "../api/custom-object.ts";
import type { ObjectTypes } from "../model/kinds.ts";
import type { KubeObject } from "../model/kube-object.ts";
import type { Problem } from "../model/problem.ts";
import type { PeerKind, PeerObjects, Store } from "../model/world.ts";

const parsers: { readonly [K in PeerKind]: (input: unknown) => Parsed<ObjectTypes[K]> } = {
  WANPolicy: parseWANPolicy,
  ServiceAdvertisement: parseServiceAdvertisement,
  GatewayAdvertisement: parseGatewayAdvertisement,
};

/** An object that was refused. */
export interface RefusedObject {
  readonly kind: PeerKind;
  readonly key: string;
  readonly problems: readonly Problem[];
}

/** Parses each object once, for as long as it doesn't change. One for each peer. */
export class PeerParser {
  readonly #parsed = new WeakMap<KubeObject, Parsed<ObjectTypes[PeerKind]>>();
  readonly #stores = new Map<PeerKind, { raw: ReadonlyMap<string, KubeObject>; parsed: Store<unknown> }>();
  readonly #refused: (object: RefusedObject) => void;
  #objects: PeerObjects = {
    WANPolicy: new Map(),
    ServiceAdvertisement: new Map(),
    GatewayAdvertisement: new Map(),
  };

  /** `refused` is called once for each version of a bad object. */
  constructor(refused: (object: RefusedObject) => void) {
    this.#refused = refused;
  }

  /** The good objects: the same value while nothing changes. */
  objects(raw: (kind: PeerKind) => ReadonlyMap<string, KubeObject>): PeerObjects {
    const next: PeerObjects = {
      WANPolicy: this.#store("WANPolicy", raw("WANPolicy")),
      ServiceAdvertisement: this.#store("ServiceAdvertisement", raw("ServiceAdvertisement")),
      GatewayAdvertisement: this.#store("GatewayAdvertisement", raw("GatewayAdvertisement")),
    };
    const before = this.#objects;
    const isSame =
      next.WANPolicy === before.WANPolicy &&
      next.ServiceAdvertisement === before.ServiceAdvertisement &&
      next.GatewayAdvertisement === before.GatewayAdvertisement;
    if (!isSame) this.#objects = next;
    return this.#objects;
  }

  #store<K extends PeerKind>(kind: K, raw: ReadonlyMap<string, KubeObject>): Store<ObjectTypes[K]> {
    const known = this.#stores.get(kind);
    if (known?.raw === raw) return known.parsed as Store<ObjectTypes[K]>;
    const parsed = new Map<string, ObjectTypes[K]>();
    for (const [key, object] of raw) {
      const result = this.#parse({ kind, key, object });
      if (result.ok) parsed.set(key, result.value as ObjectTypes[K]);
    }
    this.#stores.set(kind, { raw, parsed });
    return parsed;
  }

  #parse({
    kind,
    key,
    object,
  }: {
    kind: PeerKind;
    key: string;
    object: KubeObject;
  }): Parsed<ObjectTypes[PeerKind]> {
    const known = this.#parsed.get(object);
    if (known !== undefined) return known;
    const result: Parsed<ObjectTypes[PeerKind]> = parsers[kind](object);
    this.#parsed.set(object, result);
    if (!result.ok) this.#refused({ kind, key, problems: result.problems });
    return result;
  }
}
