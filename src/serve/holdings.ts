/**
 * What an Envoy may hold, as far as clusters go: which it can use, and which its routes, listeners and aggregates may
 * name. An Envoy that refuses goes on with what it had, so this follows its answers, not the snapshots:
 *
 *     sent     → it may hold this too        accepted → it holds just this
 *     refused  → it doesn't hold this        given up → it holds nothing
 *
 * Never less than what the Envoy holds: what it brings from an earlier stream may name anything until it is known.
 */
import { xdsType } from "../model/xds-types.ts";
import type { Resource } from "./resource.ts";
import type { SnapshotType } from "./snapshot.ts";

const { cluster, listener, routeConfiguration } = xdsType;

/** What a resource names. */
interface Named {
  readonly clusters: ReadonlySet<string>;
  readonly tables: readonly string[];
}
/** What may be held under one name; undefined is unknown content. */
type Held = ReadonlySet<Named | undefined>;

const none: ReadonlySet<string> = new Set();
/** What each resource names; kept beside it. */
const knownNames = new WeakMap<Resource, Named>();

/** What one Envoy may hold. */
export class Holdings {
  readonly #held = {
    [cluster]: new Map<string, Held>(),
    [listener]: new Map<string, Held>(),
    [routeConfiguration]: new Map<string, Held>(),
  };
  /** Clusters that are in force. */
  readonly #usable = new Set<string>();
  /** Clusters that were accepted and wait for endpoints or secrets. */
  readonly #warming = new Map<string, Resource>();
  /** Tables that the Envoy has, or has refused: a listener no longer waits for them. */
  readonly #delivered = new Set<string>();
  /** See {@link isUntold}. */
  #isUntold = false;
  /** Listener → the tables that it may answer by: after a change the ones before, until the new ones came. */
  readonly #serving = new Map<string, Set<string> | "Any">();
  #revision = 0;

  /** Grows when the answers to the questions below may have changed. */
  get revision(): number {
    return this.#revision;
  }

  /** The Envoy brought clusters from an earlier stream, and has not spoken of its listeners yet. */
  get isUntold(): boolean {
    return this.#isUntold;
  }

  /** Whether routes may name it: the Envoy has it, with all that it needs, and is not told to give it up. */
  canUse(name: string): boolean {
    return this.#usable.has(name);
  }

  /** The Envoy says it holds this, from an earlier stream. */
  claimed(type: SnapshotType, name: string): void {
    this.#revision += 1;
    if (type === cluster) this.#isUntold = true;
    if (type === listener) this.#serving.set(name, "Any");
    if (type === routeConfiguration) this.#delivered.add(name);
    this.#heldOf(type)?.set(name, new Set([undefined]));
  }

  /** A cluster that it holds from an earlier stream is in force when it needs nothing any more. */
  warming(resource: Resource): void {
    if (!this.#usable.has(resource.name)) this.#warming.set(resource.name, resource);
  }

  /** The Envoy has told what it holds of a type. */
  told(type: SnapshotType): void {
    if (type !== listener) return;
    this.#isUntold = false;
    this.#revision += 1;
  }

  /** It is on its way. */
  sent(type: SnapshotType, resource: Resource): void {
    const held = this.#heldOf(type);
    const named = namesOf(type, resource);
    if (named !== undefined) held?.set(resource.name, new Set([...(held.get(resource.name) ?? []), named]));
  }

  /** The Envoy has it. */
  accepted(type: SnapshotType, resource: Resource): void {
    const { name } = resource;
    this.#revision += 1;
    if (type === cluster) this.warming(resource);
    const named = namesOf(type, resource);
    const before = [...(this.#heldOf(type)?.get(name) ?? [])].flatMap((each) => each?.tables ?? []);
    if (named === undefined) this.#heldOf(type)?.delete(name);
    else this.#heldOf(type)?.set(name, new Set([named]));
    if (type === routeConfiguration) this.#delivered.add(name);
    if (type === listener) {
      const serving = this.#serving.get(name);
      // What was sent before may be in force though it was never accepted: others in that response were refused.
      if (serving !== "Any")
        this.#serving.set(name, new Set([...(serving ?? []), ...before, ...(resource.needs ?? [])]));
      this.#switch(name);
    } else if (type === routeConfiguration) for (const each of this.#serving.keys()) this.#switch(each);
  }

  /** It was refused alone: the Envoy goes on with what it had. */
  refused(type: SnapshotType, resource: Resource): void {
    this.#revision += 1;
    const held = this.#heldOf(type);
    const named = namesOf(type, resource);
    const rest = new Set([...(held?.get(resource.name) ?? [])].filter((each) => each !== named));
    if (named !== undefined && rest.size === 0) held?.delete(resource.name);
    else if (named !== undefined) held?.set(resource.name, rest);
    if (type !== routeConfiguration) return;
    // A listener that waited for it goes on without routes.
    this.#delivered.add(resource.name);
    for (const each of this.#serving.keys()) this.#switch(each);
  }

  /** The Envoy has given it up: it said so, or has answered its removal. */
  dropped(type: SnapshotType, name: string): void {
    this.#revision += 1;
    this.#heldOf(type)?.delete(name);
    if (type === cluster) this.removing(name);
    if (type === listener) this.#serving.delete(name);
    if (type === routeConfiguration) this.#delivered.delete(name);
  }

  /** The Envoy is told to give up the cluster. */
  removing(name: string): void {
    this.#usable.delete(name);
    this.#warming.delete(name);
  }

  /** Clusters that no longer wait can be used. `isAwaited`: whether one of their needs is on its way. */
  warm(isAwaited: (resource: Resource) => boolean): void {
    for (const [name, resource] of this.#warming) {
      if (isAwaited(resource)) continue;
      this.#warming.delete(name);
      this.#usable.add(name);
      this.#revision += 1;
    }
  }

  /**
   * Answers whether the Envoy may go on to name a cluster when those that are not wanted are gone. Good until the next
   * change.
   */
  namedClusters(isWanted: (name: string) => boolean): (name: string) => boolean {
    const tables = this.#tablesInForce();
    if (this.#isUntold || tables === "Any") return () => true;
    const inForce = [...this.#held[listener].values(), ...tables];
    const routesName = (name: string): boolean => inForce.some((held) => mayName(held, name));
    const aggregates = [...this.#held[cluster]].filter(([name]) => isWanted(name) || routesName(name));
    return (name) => routesName(name) || aggregates.some(([, held]) => mayName(held, name));
  }

  #tablesInForce(): readonly Held[] | "Any" {
    const names = new Set<string>();
    for (const serving of this.#serving.values()) {
      if (serving === "Any") return "Any";
      for (const table of serving) names.add(table);
    }
    for (const held of this.#held[listener].values())
      for (const named of held) for (const table of named?.tables ?? []) names.add(table);
    return [...names].flatMap((name) => this.#held[routeConfiguration].get(name) ?? []);
  }

  /** A listener answers by its new tables as soon as it has all of them. */
  #switch(name: string): void {
    const [named, ...others] = this.#held[listener].get(name) ?? [];
    if (named === undefined || others.length > 0) return;
    if (named.tables.every((table) => this.#delivered.has(table)))
      this.#serving.set(name, new Set(named.tables));
  }

  #heldOf(type: SnapshotType): Map<string, Held> | undefined {
    return type === cluster || type === listener || type === routeConfiguration
      ? this.#held[type]
      : undefined;
  }
}

/** Undefined where it names nothing that counts. */
function namesOf(type: SnapshotType, resource: Resource): Named | undefined {
  if (resource.clusters === undefined && type !== listener && type !== routeConfiguration) return undefined;
  let named = knownNames.get(resource);
  if (named === undefined) {
    const tables = type === listener ? (resource.needs ?? []) : [];
    named = { clusters: resource.clusters ?? none, tables };
    knownNames.set(resource, named);
  }
  return named;
}

function mayName(held: Held, name: string): boolean {
  for (const named of held) if (named === undefined || named.clusters.has(name)) return true;
  return false;
}
