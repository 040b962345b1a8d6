/**
 * A peer's objects, parsed: what a peer says is checked one object at a time, and a bad one harms itself only. Of one that
 * can't be read any more, such as after an upgrade there, what it last said stays.
 */
import { reasons } from "../api/conditions.ts";
import { parseGatewayAdvertisement } from "../api/gateway-advertisement.ts";
import { parseServiceAdvertisement } from "../api/service-advertisement.ts";
import { parseWANPolicy } from "../api/wan-policy.ts";
import type { Parsed } from "../api/custom-object.ts";
import type { ObjectTypes } from "../model/kinds.ts";
import type { KubeObject } from "../model/kube-object.ts";
import { compare } from "../model/order.ts";
import { messageOf } from "../model/problem.ts";
import { peerKinds } from "../model/world.ts";
import type { PeerKind, PeerObjects, RefusedObject, Store } from "../model/world.ts";
import { refusals, type Claimed } from "./peer-quota.ts";

const parsers: { readonly [K in PeerKind]: (input: unknown) => Parsed<ObjectTypes[K]> } = {
  WANPolicy: parseWANPolicy,
  ServiceAdvertisement: parseServiceAdvertisement,
  GatewayAdvertisement: parseGatewayAdvertisement,
};

interface ParsedStore {
  readonly raw: ReadonlyMap<string, KubeObject>;
  readonly parsed: Store<unknown>;
  readonly refused: readonly RefusedObject[];
}

/** Parses each object once, for as long as it doesn't change. One for each peer. */
export class PeerParser {
  readonly #parsed = new WeakMap<KubeObject, Parsed<ObjectTypes[PeerKind]>>();
  readonly #stores = new Map<PeerKind, ParsedStore>();
  readonly #characters = new WeakMap<object, number>();
  /** Those whose refusal was told. */
  readonly #toldOf = new WeakSet<object>();
  readonly #told: (object: RefusedObject) => void;
  #refused: readonly RefusedObject[] = [];
  #objects: PeerObjects = {
    WANPolicy: new Map(),
    ServiceAdvertisement: new Map(),
    GatewayAdvertisement: new Map(),
  };

  /** `refused` is called once for each version of a bad object. */
  constructor(refused: (object: RefusedObject) => void) {
    this.#told = refused;
  }

  /** What could not be read when {@link objects} was last asked for: the same value while nothing changes. */
  get refused(): readonly RefusedObject[] {
    return this.#refused;
  }

  /** The good objects, and what bad ones said when they were good: the same value while nothing changes. */
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
    if (isSame) return before;
    this.#objects = next;
    const refused = peerKinds.flatMap((kind) => this.#stores.get(kind)?.refused ?? []);
    if (JSON.stringify(refused) !== JSON.stringify(this.#refused)) this.#refused = refused;
    return next;
  }

  #store<K extends PeerKind>(kind: K, raw: ReadonlyMap<string, KubeObject>): Store<ObjectTypes[K]> {
    const known = this.#stores.get(kind);
    if (known?.raw === raw) return known.parsed as Store<ObjectTypes[K]>;
    const parsed = new Map<string, ObjectTypes[K]>();
    const refused: RefusedObject[] = [];
    for (const [key, object] of raw) {
      const isNew = !this.#parsed.has(object);
      const result = this.#parse(kind, object);
      const value = (result.ok ? result.value : known?.parsed.get(key)) as ObjectTypes[K] | undefined;
      if (value !== undefined) parsed.set(key, value);
      if (result.ok) continue;
      const [first] = result.problems;
      const problem = { reason: first?.reason ?? reasons.Invalid, message: messageOf(result.problems) };
      const bad = { kind, key, problem, isKept: value !== undefined };
      refused.push(bad);
      if (isNew) this.#told(bad);
    }
    for (const [key, problem] of refusals(this.#claimed(kind, parsed))) {
      const value = parsed.get(key);
      parsed.delete(key);
      const bad = { kind, key, problem, isKept: false };
      refused.push(bad);
      if (value === undefined || this.#toldOf.has(value)) continue;
      this.#toldOf.add(value);
      this.#told(bad);
    }
    refused.sort((a, b) => compare(a.key, b.key));
    this.#stores.set(kind, { raw, parsed, refused });
    return parsed;
  }

  /** What each object takes of the quota; measured once. */
  #claimed(kind: PeerKind, parsed: ReadonlyMap<string, ObjectTypes[PeerKind]>): Claimed[] {
    return [...parsed].map(([key, value]) => {
      const characters = this.#characters.get(value) ?? JSON.stringify(value).length;
      this.#characters.set(value, characters);
      const endpoints = value.kind === "ServiceAdvertisement" ? (value.spec.endpoints?.length ?? 0) : 0;
      return { kind, key, characters, endpoints };
    });
  }

  #parse(kind: PeerKind, object: KubeObject): Parsed<ObjectTypes[PeerKind]> {
    const known = this.#parsed.get(object);
    if (known !== undefined) return known;
    const result: Parsed<ObjectTypes[PeerKind]> = parsers[kind](object);
    this.#parsed.set(object, result);
    return result;
  }
}
