import { expect } from "chai";
import fc from "fast-check";
import { xdsType } from "../model/xds-types.ts";
import { step } from "./ads-stream.ts";
import { ModelEnvoy } from "./model-envoy.ts";
import type { Meaning } from "./model-envoy.ts";
import type { Resource } from "./resource.ts";
import { changesBetween } from "./snapshot.ts";
import type { Snapshot } from "./snapshot.ts";
import { gateTimeoutMs, isWaiting } from "./stream-response.ts";
import { newStream } from "./stream-state.ts";
import type { StreamRequest, StreamResponse, StreamState } from "./stream-state.ts";

const { cluster, clusterLoadAssignment, listener, routeConfiguration } = xdsType;

/** A small configuration: clusters with revisions, tables with the clusters they name, listeners with their tables. */
interface Small {
  readonly clusters: Readonly<Record<string, { cluster: Meaning; endpoints: Meaning }>>;
  readonly tables: Readonly<Record<string, Meaning>>;
  readonly listeners: Readonly<Record<string, Meaning>>;
}

const resource = (name: string, meaning: Meaning, needs?: string): Resource => ({
  name,
  version: JSON.stringify(meaning),
  bytes: new Uint8Array(),
  ...(needs === undefined ? {} : { needs }),
});

function mapped<T>(source: Readonly<Record<string, T>>, make: (name: string, value: T) => Resource) {
  return new Map(Object.entries(source).map(([name, value]) => [name, make(name, value)]));
}

const snapshotOf = (small: Small, number: number): Snapshot => ({
  number,
  [cluster]: mapped(small.clusters, (name, each) => resource(name, each.cluster, name)),
  [clusterLoadAssignment]: mapped(small.clusters, (name, each) => resource(name, each.endpoints)),
  [listener]: mapped(small.listeners, (name, meaning) => resource(name, meaning, meaning.names?.[0])),
  [routeConfiguration]: mapped(small.tables, (name, meaning) => resource(name, meaning)),
});

/** A server's side of one stream, and its Envoy, with messages on the way in both directions. */
class Rig {
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

const clusterNames = ["c1", "c2", "c3", "c4"];

function smallArbitrary(badness: fc.Arbitrary<boolean>): fc.Arbitrary<Small> {
  const meaning = fc.record({ revision: fc.nat(2), isBad: badness });
  return fc
    .tuple(
      fc.dictionary(fc.constantFrom(...clusterNames), fc.record({ cluster: meaning, endpoints: meaning })),
      fc.dictionary(fc.constantFrom("t1", "t2"), fc.tuple(meaning, fc.subarray(clusterNames))),
      fc.dictionary(fc.constantFrom("l1", "l2"), fc.tuple(meaning, fc.constantFrom("t1", "t2"))),
    )
    .map(([clusters, tables, listeners]) => ({
      clusters,
      tables: Object.fromEntries(
        Object.entries(tables).map(([name, [each, wanted]]) => [
          name,
          { ...each, names: wanted.filter((cluster) => cluster in clusters) },
        ]),
      ),
      listeners: Object.fromEntries(
        Object.entries(listeners)
          .filter(([, [, table]]) => table in tables)
          .map(([name, [each, table]]) => [name, { ...each, names: [table] }]),
      ),
    }));
}

type Move =
  | { readonly kind: "publish"; readonly small: Small }
  | { readonly kind: "server" | "envoy" | "envoyEarly" | "reconnect" | "settle" };

const moves = (badness: fc.Arbitrary<boolean>): fc.Arbitrary<Move[]> =>
  fc.array(
    fc.oneof(
      { weight: 3, arbitrary: smallArbitrary(badness).map((small): Move => ({ kind: "publish", small })) },
      { weight: 6, arbitrary: fc.constant<Move>({ kind: "server" }) },
      { weight: 5, arbitrary: fc.constant<Move>({ kind: "envoy" }) },
      { weight: 2, arbitrary: fc.constant<Move>({ kind: "envoyEarly" }) },
      { weight: 1, arbitrary: fc.constant<Move>({ kind: "reconnect" }) },
      { weight: 2, arbitrary: fc.constant<Move>({ kind: "settle" }) },
    ),
    { maxLength: 60 },
  );

function play(rig: Rig, all: readonly Move[]): void {
  for (const move of all) {
    if (move.kind === "publish") rig.publish(move.small);
    else if (move.kind === "server") rig.serverTakes();
    else if (move.kind === "reconnect") rig.reconnect();
    else if (move.kind === "settle") rig.settle();
    else rig.envoyTakes(move.kind === "envoyEarly");
    expect(rig.envoy.faults).to.deep.equal([]);
  }
}

/** What the Envoy should hold in the end. */
function expectConverged(rig: Rig): void {
  for (const type of [cluster, listener] as const) {
    const wanted = [...rig.snapshot![type]].map(([name, { version }]) => [name, version] as const);
    expect(Object.fromEntries(rig.envoy.held[type]), type).to.deep.equal(Object.fromEntries(wanted));
  }
  for (const type of [clusterLoadAssignment, routeConfiguration] as const) {
    for (const [name, version] of rig.envoy.held[type])
      expect(version, name).to.equal(rig.snapshot![type].get(name)?.version);
  }
}

describe("an ADS stream", function () {
  this.timeout(60_000);

  it("keeps make before break, resends nothing and converges without any time-out, whatever comes when", () => {
    fc.assert(
      fc.property(moves(fc.constant(false)), (all) => {
        const rig = new Rig();
        play(rig, all);
        rig.settle();
        expect(rig.envoy.faults).to.deep.equal([]);
        if (rig.snapshot === undefined) {
          expect(rig.sent).to.deep.equal([]);
          return;
        }
        expectConverged(rig);
        expect([...rig.envoy.warming]).to.deep.equal([]);
        expect(rig.envoy.resends, "resends").to.equal(0);
        expect(isWaiting(rig.state)).to.equal(false);
      }),
      { numRuns: 3_000 },
    );
  });

  it("never lets a bad resource keep the good ones away, and recovers when it is mended", () => {
    const good = smallArbitrary(fc.constant(false));
    const badness = fc.oneof(
      { weight: 4, arbitrary: fc.constant(false) },
      { weight: 1, arbitrary: fc.constant(true) },
    );
    fc.assert(
      fc.property(moves(badness), good, (all, last) => {
        const rig = new Rig();
        for (const move of all) play(rig, [move]);
        rig.settle();
        for (const type of rig.snapshot === undefined ? [] : ([cluster, listener] as const)) {
          rig.tick(gateTimeoutMs);
          rig.settle();
          for (const [name, { version }] of rig.snapshot![type]) {
            const isGood = (JSON.parse(version) as Meaning).isBad !== true;
            if (isGood) expect(rig.envoy.held[type].get(name), name).to.equal(version);
          }
        }
        rig.publish(last);
        for (let round = 0; round < 4; round += 1) {
          rig.settle();
          rig.tick(gateTimeoutMs);
        }
        rig.settle();
        expectConverged(rig);
      }),
      { numRuns: 1_500 },
    );
  });
});
