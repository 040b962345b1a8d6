/**
 * A server's side of one ADS stream and its model Envoy, with messages on the way in both directions: the test says which
 * of them arrives next. And random configurations to play with.
 */
import fc from "fast-check";
import { xdsType } from "../../src/model/xds-types.ts";
import { step } from "../../src/serve/ads-stream.ts";
import type { Resource } from "../../src/serve/resource.ts";
import { changesBetween } from "../../src/serve/snapshot.ts";
import type { Snapshot } from "../../src/serve/snapshot.ts";
import { newStream } from "../../src/serve/stream-state.ts";
import type { StreamRequest, StreamResponse, StreamState } from "../../src/serve/stream-state.ts";
import { ModelEnvoy } from "./model-envoy.ts";
import type { Meaning } from "./model-envoy.ts";

const { secret, cluster, clusterLoadAssignment, listener, routeConfiguration } = xdsType;

/** A small configuration: clusters with revisions, tables with the clusters they name, listeners with their tables. */
export interface Small {
  readonly clusters: Readonly<Record<string, { readonly cluster: Meaning; readonly endpoints: Meaning }>>;
  readonly tables: Readonly<Record<string, Meaning>>;
  readonly listeners: Readonly<Record<string, Meaning>>;
  readonly secrets?: Readonly<Record<string, Meaning>>;
}

function resource(name: string, meaning: Meaning, needs?: readonly string[]): Resource {
  const version = JSON.stringify(meaning);
  return { name, version, bytes: new Uint8Array(), ...(needs === undefined ? {} : { needs }) };
}

/** A route table as routes are: it can be closed where it leads to what is missing. */
function table(name: string, meaning: Meaning): Resource {
  return {
    ...resource(name, meaning),
    clusters: new Set(meaning.names),
    without: (missing) => {
      const names = meaning.names?.filter((each) => !missing.has(each)) ?? [];
      return table(name, { ...meaning, names });
    },
  };
}

function mapped<T>(
  source: Readonly<Record<string, T>>,
  make: (name: string, value: T) => Resource | undefined,
) {
  return new Map(
    Object.entries(source).flatMap(([name, value]) => {
      const made = make(name, value);
      return made === undefined ? [] : [[name, made] as const];
    }),
  );
}

/** The snapshot of a small configuration. */
function snapshotOf(small: Small, number: number): Snapshot {
  return {
    number,
    [secret]: mapped(small.secrets ?? {}, (name, meaning) => resource(name, meaning)),
    [cluster]: mapped(small.clusters, (name, each) => ({
      ...resource(name, each.cluster, each.cluster.hasNoEndpoints === true ? undefined : [name]),
      ...(each.cluster.names && { clusters: new Set(each.cluster.names) }),
      secrets: each.cluster.secrets ?? [],
    })),
    [clusterLoadAssignment]: mapped(small.clusters, (name, each) =>
      each.cluster.hasNoEndpoints === true ? undefined : resource(name, each.endpoints),
    ),
    [listener]: mapped(small.listeners, (name, meaning) => ({
      ...resource(name, meaning, meaning.names),
      clusters: new Set(meaning.streams),
    })),
    [routeConfiguration]: mapped(small.tables, table),
  };
}

/** A server's side of one stream, and its Envoy. */
export class Rig {
  readonly envoy = new ModelEnvoy();
  state: StreamState;
  nowMs = 0;
  inbox: StreamResponse[] = [];
  sent: StreamResponse[] = [];
  snapshot: Snapshot | undefined;
  #number = 0;

  constructor(small?: Small) {
    if (small !== undefined) this.snapshot = snapshotOf(small, (this.#number += 1));
    this.state = newStream(this.snapshot);
  }

  publish(small: Small): void {
    const snapshot = snapshotOf(small, (this.#number += 1));
    const change = changesBetween(this.snapshot, snapshot);
    this.snapshot = snapshot;
    this.#deliver(step(this.state, { kind: "Snapshot", snapshot, change, nowMs: this.nowMs }));
  }

  reconnect(): void {
    this.inbox = [];
    this.state = newStream(this.snapshot);
    this.envoy.reconnect();
  }

  /** Gives the oldest request on the way to the server. */
  serverTakes(): boolean {
    const request = this.envoy.outbox.shift();
    if (request === undefined) return false;
    this.request(request);
    return true;
  }

  request(request: StreamRequest): StreamResponse[] {
    const responses = step(this.state, { kind: "Request", request, nowMs: this.nowMs });
    this.#deliver(responses);
    return responses;
  }

  /** Gives the oldest response on the way to the Envoy. `early`: it subscribes before it answers. */
  envoyTakes(early: boolean): boolean {
    const response = this.inbox.shift();
    if (response === undefined) return false;
    this.envoy.take(response, early);
    return true;
  }

  tick(ms: number): void {
    this.nowMs += ms;
    this.#deliver(step(this.state, { kind: "Tick", nowMs: this.nowMs }));
  }

  /** Until no message is on the way. */
  settle(): void {
    for (let round = 0; this.serverTakes() || this.envoyTakes(round % 2 === 0); round += 1)
      if (round > 10_000) throw new Error("They never stop talking.");
  }

  #deliver(responses: readonly StreamResponse[]): void {
    this.inbox.push(...responses);
    this.sent.push(...responses);
  }
}

const clusterNames = ["c1", "c2", "c3", "c4", "c5"];
/** The one that has no endpoints of its own. */
const aggregate = "c5";
const secretNames = ["s1", "s2"];
const tableNames = ["t1", "t2", "t3"];

/** Random configurations: the clusters that tables, streams and the aggregate name, and some that none does. */
export function smallArbitrary(
  badness: fc.Arbitrary<boolean>,
  badListeners: fc.Arbitrary<boolean> = fc.constant(false),
): fc.Arbitrary<Small> {
  const meaning = fc.record({ revision: fc.nat(2), isBad: badness });
  const armed = (bad: fc.Arbitrary<boolean>) =>
    fc
      .tuple(
        fc.record({ revision: fc.nat(2), isBad: bad }),
        fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, fc.subarray(secretNames)),
      )
      .map(([each, secrets]) => (secrets.length === 0 ? each : { ...each, secrets }));
  const unit = fc.record({ cluster: armed(badness), endpoints: meaning });
  return fc
    .record({
      units: fc.tuple(unit, unit, unit, unit, unit),
      idle: fc.subarray(clusterNames),
      tables: fc.dictionary(fc.constantFrom(...tableNames), fc.tuple(meaning, fc.subarray(clusterNames))),
      listeners: fc.dictionary(
        fc.constantFrom("l1", "l2"),
        fc.tuple(armed(badListeners), fc.nat(2), fc.oneof(fc.constant([]), fc.subarray(clusterNames))),
      ),
      parts: fc.oneof(fc.constant([]), fc.subarray(clusterNames.slice(0, -1))),
      secrets: fc.tuple(fc.nat(2), fc.nat(2)),
    })
    .map(({ units, idle, tables, listeners, secrets, parts }) => {
      const led = [
        ...idle,
        ...Object.values(tables).flatMap(([, names]) => names),
        ...Object.values(listeners).flatMap(([, , streams]) => streams),
      ];
      const named = new Set(led.includes(aggregate) ? [...led, ...parts] : led);
      const offered = Object.keys(tables);
      return {
        clusters: Object.fromEntries(
          units.flatMap(({ cluster, endpoints }, index) => {
            const name = clusterNames[index] ?? "";
            const unit = {
              cluster: name === aggregate ? { ...cluster, hasNoEndpoints: true, names: parts } : cluster,
              endpoints,
            };
            return named.has(name) ? [[name, unit]] : [];
          }),
        ),
        secrets: Object.fromEntries(
          secretNames.map((name, index) => [name, { revision: secrets[index] ?? 0 }]),
        ),
        tables: Object.fromEntries(
          Object.entries(tables).map(([name, [each, names]]) => [name, { ...each, names }]),
        ),
        listeners: Object.fromEntries(
          Object.entries(listeners).flatMap(([name, [each, index, streams]]) => {
            const table = offered[index % Math.max(1, offered.length)];
            return table === undefined ? [] : [[name, { ...each, names: [table], streams }]];
          }),
        ),
      };
    });
}

/** What happens next. */
export type Move =
  | { readonly kind: "publish"; readonly small: Small }
  | { readonly kind: "tick"; readonly ms: number }
  | { readonly kind: "server" | "envoy" | "envoyEarly" | "reconnect" | "settle" };

/** Random moves: some from rest to rest, most with messages on the way. `passing`: how long nothing may happen at times. */
export function movesArbitrary(smalls: fc.Arbitrary<Small>, passing?: number): fc.Arbitrary<Move[]> {
  const tick = fc.constant<Move[]>([{ kind: "tick", ms: passing ?? 0 }]);
  const some = (kind: "server" | "envoy" | "envoyEarly", most: number): fc.Arbitrary<Move[]> =>
    fc.array(fc.constant<Move>({ kind }), { minLength: 1, maxLength: most });
  const publish = smalls.map((small): Move => ({ kind: "publish", small }));
  const burst = fc.oneof(
    { weight: 4, arbitrary: publish.map((move) => [move]) },
    { weight: 3, arbitrary: publish.map((move): Move[] => [{ kind: "settle" }, move]) },
    { weight: 5, arbitrary: some("server", 4) },
    { weight: 4, arbitrary: some("envoy", 3) },
    { weight: 3, arbitrary: some("envoyEarly", 3) },
    { weight: 1, arbitrary: fc.constant<Move[]>([{ kind: "reconnect" }]) },
    ...(passing === undefined ? [] : [{ weight: 1, arbitrary: tick }]),
  );
  return fc.array(burst, { maxLength: 40, size: "max" }).map((bursts) => bursts.flat());
}

/** Makes the moves; `check` is called after each. */
export function play(rig: Rig, moves: readonly Move[], check: () => void): void {
  for (const move of moves) {
    if (move.kind === "publish") rig.publish(move.small);
    else if (move.kind === "server") rig.serverTakes();
    else if (move.kind === "reconnect") rig.reconnect();
    else if (move.kind === "settle") rig.settle();
    else if (move.kind === "tick") rig.tick(move.ms);
    else rig.envoyTakes(move.kind === "envoyEarly");
    check();
  }
}
