/**
 * An Envoy for tests: follows the delta protocol as Envoy does, message by message, and checks after each that no route
 * in force names a cluster that can't answer. No clock, no network; who moves messages is the test.
 */
import { xdsType } from "../../src/model/xds-types.ts";
import type { SnapshotType } from "../../src/serve/snapshot.ts";
import type { StreamRequest, StreamResponse } from "../../src/serve/stream-state.ts";

const { secret, cluster, clusterLoadAssignment, listener, routeConfiguration } = xdsType;
const types = [secret, cluster, clusterLoadAssignment, listener, routeConfiguration] as const;

/** What a resource of the model means; its version is this as JSON. */
export interface Meaning {
  readonly revision: number;
  /** Of a route table or an aggregate: the clusters that it names. Of a listener: its table. */
  readonly names?: readonly string[];
  /** Of a listener: clusters to which it leads past its table. */
  readonly streams?: readonly string[];
  /** Of a cluster or listener: the secrets that it names. */
  readonly secrets?: readonly string[];
  /** Of a cluster: it is usable without endpoints. */
  readonly hasNoEndpoints?: boolean;
  /** The model refuses it. */
  readonly isBad?: boolean;
}

/** The model. */
export class ModelEnvoy {
  /** What it holds, by type: name → version. */
  readonly held: Record<SnapshotType, Map<string, string>> = byType(() => new Map<string, string>());
  /** Requests that wait to be given to the server. */
  readonly outbox: StreamRequest[] = [];
  /** Faults seen so far. */
  readonly faults: string[] = [];
  /** Clusters that wait for endpoints after they came or changed. */
  readonly warming = new Set<string>();
  /** Clusters that have their endpoints and wait for their secrets. */
  readonly #unarmed = new Set<string>();
  /** Clusters that have had endpoints: routes may name them. */
  readonly usable = new Set<string>();
  /** Resources that came though the model held that very version and had not asked. */
  resends = 0;
  readonly #watched: Record<SnapshotType, Set<string>> = byType(() => new Set<string>());
  /** How often a name was asked for without an answer yet, by type and name. */
  readonly #asked = new Map<string, number>();
  readonly #open = new Set<SnapshotType>();
  /** Listener → table that it serves; another one may be on its way. */
  readonly #serving = new Map<string, string>();
  #hasNacked = false;
  /** It was answered once: nothing is not known to be all before. */
  #hasAnswer = false;
  /** Route tables that were refused. */
  readonly #failed = new Set<string>();
  /** Clusters that were removed once: asking for endpoints anew may cross with getting them. */
  readonly #cameBack = new Set<string>();

  constructor() {
    this.#request(cluster, {});
  }

  /** A new stream after the old one broke: everything is asked for again, with what is held. */
  reconnect(): void {
    this.outbox.length = 0;
    const open = types.filter((type) => this.#open.has(type));
    this.#open.clear();
    for (const type of open) {
      const isWildcard = type === cluster || type === listener;
      if (!isWildcard && this.#watched[type].size === 0) continue;
      this.#asked.clear();
      // What was warming can't be told from what is warm, on the wire; Envoy takes the endpoints that it holds.
      for (const name of this.held[clusterLoadAssignment].keys()) {
        if (this.warming.delete(name)) this.#unarmed.add(name);
      }
      this.#arm();
      this.#request(type, {
        subscribe: isWildcard ? [] : [...this.#watched[type]],
        initialVersions: new Map(this.held[type]),
      });
    }
    if (!open.includes(cluster)) this.#request(cluster, {});
    this.#start();
  }

  /** Takes a response, answers it, and follows what it brings. `early`: subscriptions go before the answer. */
  take(response: StreamResponse, early: boolean): void {
    const { type } = response;
    this.#hasAnswer = true;
    const names = [...response.resources.map(({ name }) => name), ...response.removed];
    if (new Set(names).size !== names.length)
      this.faults.push(`a name twice in one response: ${names.join()}`);
    const bad = this.#apply(response);
    const answer = (): void => {
      const error = bad === undefined ? {} : { error: `${bad} is bad` };
      this.outbox.push({ ...emptyRequest, type, nonce: response.nonce, ...error });
    };
    if (!early) answer();
    this.#follow(type);
    if (early) answer();
    this.#check();
  }

  /** Tables in force, with the clusters that they name. */
  inForce(): readonly (readonly [string, readonly string[]])[] {
    return [...new Set(this.#serving.values())].map((table) => {
      const version = this.held[routeConfiguration].get(table);
      return [table, version === undefined ? [] : (meaningOf(version).names ?? [])] as const;
    });
  }

  #apply(response: StreamResponse): string | undefined {
    const { type } = response;
    const held = this.held[type];
    let bad: string | undefined;
    for (const { name, version } of response.resources) {
      // Of routes and endpoints Envoy drops all that comes after the first bad one.
      if (bad !== undefined && (type === routeConfiguration || type === clusterLoadAssignment)) break;
      if (meaningOf(version).isBad === true) {
        bad ??= name;
        this.#hasNacked = true;
        // Bad endpoints end the wait for endpoints all the same.
        if (type === clusterLoadAssignment) this.#warmed(name);
        // So do bad routes: a listener that waited for them goes on with none.
        if (type === routeConfiguration) this.#failed.add(name);
        continue;
      }
      const isWarmedAgain = type === clusterLoadAssignment && this.warming.has(name);
      // A change may arrive while the question is on its way: the answer is still to come.
      const isAsked = held.get(name) === version && this.#answered(`${type} ${name}`);
      const isNeeded = isAsked || isWarmedAgain || this.#hasNacked || this.#cameBack.has(name);
      if (held.get(name) === version && !isNeeded) this.resends += 1;
      if (type === cluster && hasNoEndpoints(version)) this.#unarmed.add(name);
      else if (type === cluster && held.get(name) !== version) this.warming.add(name);
      if (type === clusterLoadAssignment && this.#watched[type].has(name)) {
        this.#warmed(name);
      }
      if (type === cluster || type === listener || this.#watched[type].has(name)) held.set(name, version);
    }
    for (const name of response.removed) {
      // Envoy ignores removals of routes and endpoints, but no longer waits for the endpoints.
      if (type === clusterLoadAssignment) {
        this.#warmed(name);
        // What was said not to exist has to be said anew, though the model kept it.
        this.#cameBack.add(name);
      }
      if (type === routeConfiguration || type === clusterLoadAssignment) continue;
      if (type === secret) this.faults.push(`the secret ${name} was taken away`);
      held.delete(name);
      if (type === cluster) {
        this.warming.delete(name);
        this.#unarmed.delete(name);
        this.usable.delete(name);
        this.#cameBack.add(name);
      } else this.#serving.delete(name);
    }
    if (type === cluster) for (const name of response.removed) this.#checkGone(name);
    return bad;
  }

  /** Subscribes to what clusters and listeners need, and serves routes that have come. */
  #follow(type: SnapshotType): void {
    if (type === cluster) {
      const overEds = [...this.held[cluster]].filter(([, version]) => !hasNoEndpoints(version));
      this.#watch(clusterLoadAssignment, new Set(overEds.map(([name]) => name)));
    }
    this.#watch(secret, this.#namedSecrets());
    this.#arm();
    for (const table of [...this.held[routeConfiguration].keys(), ...this.#failed]) this.#serveFor(table);
    const tables = [...this.held[listener].values()].flatMap((version) => meaningOf(version).names ?? []);
    if (this.#open.has(listener))
      this.#watch(routeConfiguration, new Set([...tables, ...this.#serving.values()]));
    this.#start();
  }

  /** An Envoy that starts asks for listeners when its clusters are warm. */
  #start(): void {
    const hasClusters = this.held[cluster].size > 0 || this.#hasAnswer;
    if (!hasClusters) return;
    if (!this.#open.has(listener) && this.warming.size + this.#unarmed.size === 0)
      this.#request(listener, {});
  }

  /** Secrets of listeners, and of clusters that have had their endpoints: not before does Envoy ask for those. */
  #namedSecrets(): Set<string> {
    const listeners = [...this.held[listener].values()];
    // One that changes keeps what it had.
    const clusters = [...this.held[cluster]]
      .filter(([name]) => !this.warming.has(name) || this.usable.has(name))
      .map(([, version]) => version);
    return new Set([...listeners, ...clusters].flatMap((version) => meaningOf(version).secrets ?? []));
  }

  /** The wait for endpoints is over. */
  #warmed(name: string): void {
    if (this.warming.delete(name) && !this.usable.has(name)) this.#unarmed.add(name);
  }

  /** Clusters that have all of their secrets can be used. */
  #arm(): void {
    for (const name of this.#unarmed) {
      const secrets = meaningOf(this.held[cluster].get(name) ?? "{}").secrets ?? [];
      if (!secrets.every((one) => this.held[secret].has(one))) continue;
      this.#unarmed.delete(name);
      this.usable.add(name);
    }
  }

  #serveFor(table: string): void {
    for (const [name, version] of this.held[listener])
      if (meaningOf(version).names?.[0] === table) this.#serving.set(name, table);
  }

  #watch(type: SnapshotType, wanted: ReadonlySet<string>): void {
    const watched = this.#watched[type];
    const subscribe = [...wanted].filter((name) => !watched.has(name));
    const unsubscribe = [...watched].filter((name) => !wanted.has(name));
    for (const name of subscribe) watched.add(name);
    for (const name of unsubscribe) {
      watched.delete(name);
      this.held[type].delete(name);
      if (type === routeConfiguration) this.#failed.delete(name);
    }
    if (subscribe.length + unsubscribe.length > 0) this.#request(type, { subscribe, unsubscribe });
  }

  #request(type: SnapshotType, request: Partial<StreamRequest>): void {
    this.#open.add(type);
    for (const name of request.subscribe ?? []) {
      const key = `${type} ${name}`;
      this.#asked.set(key, (this.#asked.get(key) ?? 0) + 1);
    }
    this.outbox.push({ ...emptyRequest, ...request, type });
  }

  /** Whether a name that came was asked for: once for every time. */
  #answered(key: string): boolean {
    const times = this.#asked.get(key) ?? 0;
    if (times > 1) this.#asked.set(key, times - 1);
    else this.#asked.delete(key);
    return times > 0;
  }

  #check(): void {
    for (const [table, clusters] of this.inForce()) {
      for (const name of clusters) {
        if (!this.usable.has(name)) this.faults.push(`${table} names ${name}, which can't answer`);
      }
    }
  }

  /** Of a cluster that was removed: nothing that stays leads to it. */
  #checkGone(name: string): void {
    for (const [other, version] of this.held[listener])
      if (meaningOf(version).streams?.includes(name)) this.faults.push(`${other} leads to ${name}`);
    for (const [other, version] of this.held[cluster])
      if (meaningOf(version).names?.includes(name)) this.faults.push(`${other} is made of ${name}`);
  }
}

/** What a version of the model says. */
function meaningOf(version: string): Meaning {
  return JSON.parse(version) as Meaning;
}

function hasNoEndpoints(version: string): boolean {
  return meaningOf(version).hasNoEndpoints === true;
}

const emptyRequest = {
  subscribe: [],
  unsubscribe: [],
  initialVersions: new Map<string, string>(),
  nonce: "",
};

function byType<T>(make: () => T): Record<SnapshotType, T> {
  return {
    [secret]: make(),
    [cluster]: make(),
    [clusterLoadAssignment]: make(),
    [listener]: make(),
    [routeConfiguration]: make(),
  };
}
