import { expect } from "chai";
import fc from "fast-check";
import { xdsType } from "../model/xds-types.ts";
import { step } from "./ads-stream.ts";
import { ModelEnvoy } from "../../test/serve/model-envoy.ts";
import type { Meaning } from "../../test/serve/model-envoy.ts";
import type { Resource } from "./resource.ts";
import { changesBetween } from "./snapshot.ts";
import type { Snapshot } from "./snapshot.ts";
import { gateTimeoutMs, isWaiting } from "./stream-response.ts";
import { newStream } from "./stream-state.ts";
import type { StreamRequest, StreamResponse, StreamState } from "./stream-state.ts";

const { secret, cluster, clusterLoadAssignment, listener, routeConfiguration } = xdsType;

/** A small configuration: clusters with revisions, tables with the clusters they name, listeners with their tables. */
interface Small {
  readonly clusters: Readonly<Record<string, { cluster: Meaning; endpoints: Meaning }>>;
  readonly tables: Readonly<Record<string, Meaning>>;
  readonly listeners: Readonly<Record<string, Meaning>>;
  readonly secrets?: Readonly<Record<string, Meaning>>;
}

const resource = (name: string, meaning: Meaning, needs?: readonly string[]): Resource => ({
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
  [secret]: mapped(small.secrets ?? {}, (name, meaning) => resource(name, meaning)),
  [cluster]: mapped(small.clusters, (name, each) => ({
    ...resource(name, each.cluster, [name]),
    secrets: each.cluster.secrets ?? [],
  })),
  [clusterLoadAssignment]: mapped(small.clusters, (name, each) => resource(name, each.endpoints)),
  [listener]: mapped(small.listeners, (name, meaning) => resource(name, meaning, meaning.names)),
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
  const secretNames = ["s1", "s2"];
  const armed = fc
    .tuple(meaning, fc.subarray(secretNames))
    .map(([each, secrets]) => (secrets.length === 0 ? each : { ...each, secrets }));
  return fc
    .tuple(
      fc.dictionary(fc.constantFrom(...clusterNames), fc.record({ cluster: armed, endpoints: meaning })),
      fc.dictionary(fc.constantFrom("t1", "t2"), fc.tuple(meaning, fc.subarray(clusterNames))),
      fc.dictionary(fc.constantFrom("l1", "l2"), fc.tuple(armed, fc.constantFrom("t1", "t2"))),
      fc.tuple(fc.nat(2), fc.nat(2)),
    )
    .map(([clusters, tables, listeners, secrets]) => ({
      clusters,
      secrets: Object.fromEntries(
        secretNames.map((name, index) => [name, { revision: secrets[index] ?? 0 }]),
      ),
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
  for (const type of [secret, clusterLoadAssignment, routeConfiguration] as const) {
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
      { numRuns: 1_000 },
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
      { numRuns: 700 },
    );
  });

  describe("by the rules of the protocol", () => {
    const one: Meaning = { revision: 1 };
    const two: Meaning = { revision: 2 };
    const small = (meaning: Meaning): Small => ({
      clusters: { a: { cluster: meaning, endpoints: one }, b: { cluster: one, endpoints: one } },
      tables: { t: { ...one, names: ["a"] } },
      listeners: { l: { ...one, names: ["t"] } },
    });
    const request = (more: Partial<StreamRequest>): StreamRequest => ({
      type: cluster,
      subscribe: [],
      unsubscribe: [],
      initialVersions: new Map(),
      nonce: "",
      ...more,
    });
    const said = (responses: readonly StreamResponse[]): string[] =>
      responses.map(({ type, resources, removed }) => {
        const names = [...resources.map(({ name }) => name), ...removed.map((name) => `-${name}`)];
        return `${type.split(".").at(-1) ?? ""}: ${names.join(" ")}`;
      });
    const version = (meaning: Meaning): string => JSON.stringify(meaning);
    const settled = (): Rig => {
      const rig = new Rig(small(one));
      rig.settle();
      rig.inbox = [];
      return rig;
    };

    it("sends secrets when they are asked for and at once when they change, and routes after a new cluster's secrets", () => {
      const armed: Meaning = { ...one, secrets: ["s"] };
      const rig = settled();
      const next = {
        ...small(one),
        clusters: { ...small(one).clusters, c: { cluster: armed, endpoints: one } },
        tables: { t: { ...two, names: ["c"] } },
        secrets: { s: one },
      };
      rig.publish(next);
      for (let round = 0; round < 4; round += 1) {
        while (rig.envoyTakes(false));
        const type = rig.envoy.outbox[0]?.type;
        if (type === secret) break;
        rig.serverTakes();
      }
      expect(rig.envoy.outbox.some(({ type }) => type === secret)).to.equal(true);
      expect(said(rig.sent)).not.to.include("RouteConfiguration: t t");
      rig.settle();
      expect(said(rig.sent).slice(-2)).to.deep.equal(["Secret: s", "RouteConfiguration: t"]);
      rig.publish({ ...next, secrets: { s: two } });
      expect(said(rig.sent).at(-1)).to.equal("Secret: s");
    });

    it("never takes a secret away: who no longer needs it gives it up", () => {
      const armed = { ...small(one), listeners: { l: { ...one, names: ["t"], secrets: ["s"] } } };
      const rig = new Rig({ ...armed, secrets: { s: one } });
      rig.settle();
      rig.publish({ ...small(two), secrets: {} });
      rig.settle();
      rig.tick(gateTimeoutMs);
      expect(said(rig.sent)).not.to.include("Secret: -s");
      expect(isWaiting(rig.state)).to.equal(false);
    });

    it("says nothing before the first publication, and an empty answer after an empty one (X14)", () => {
      const rig = new Rig();
      expect(rig.request(request({}))).to.deep.equal([]);
      rig.publish({ clusters: {}, tables: {}, listeners: {} });
      expect(said(rig.inbox)).to.deep.equal(["Cluster: "]);
    });

    it("honours a subscription that comes with a stale nonce, and counts no answer by it (X7)", () => {
      const rig = new Rig(small(one));
      rig.request(request({}));
      const stale = request({ type: clusterLoadAssignment, subscribe: ["a"], nonce: "99" });
      expect(said(rig.request(stale))).to.deep.equal(["ClusterLoadAssignment: a"]);
      expect(rig.request(request({ nonce: "99" }))).to.deep.equal([]);
      expect(rig.state.types[cluster].inFlight).not.to.equal(undefined);
    });

    it("answers a repeated subscription, even of what didn't change (X8)", () => {
      const rig = settled();
      const again = request({ type: clusterLoadAssignment, subscribe: ["a"] });
      expect(said(rig.request(again))).to.deep.equal(["ClusterLoadAssignment: a"]);
    });

    it("ignores an unsubscription of what was never asked for (X8)", () => {
      const rig = settled();
      expect(rig.request(request({ type: clusterLoadAssignment, unsubscribe: ["z"] }))).to.deep.equal([]);
      expect(rig.request(request({ unsubscribe: ["a"] }))).to.deep.equal([]);
    });

    it("answers when a name is given up that the wildcard still covers, and when it doesn't exist (X8)", () => {
      const rig = settled();
      const named = rig.request(request({ subscribe: ["a", "z"] }));
      expect(said(named)).to.deep.equal(["Cluster: a -z", "ClusterLoadAssignment: a"]);
      rig.request(request({ nonce: named[0]!.nonce }));
      rig.request(request({ type: clusterLoadAssignment, nonce: named[1]!.nonce }));
      const given = rig.request(request({ unsubscribe: ["a", "z"] }));
      expect(said(given)[0]).to.equal("Cluster: a -z");
    });

    it("takes an empty first subscription as the wildcard for clusters only, and lets the wildcard be given up (X9)", () => {
      const rig = new Rig(small(one));
      expect(rig.request(request({ type: clusterLoadAssignment }))).to.deep.equal([]);
      const wild = rig.request(request({ subscribe: ["*", "a"] }));
      expect(said(wild)).to.deep.equal(["Cluster: a b"]);
      rig.request(request({ nonce: wild[0]!.nonce, unsubscribe: ["*"] }));
      expect([...rig.state.types[cluster].sent.keys()]).to.deep.equal(["a"]);
      rig.request(request({ subscribe: ["*"] }));
      expect(rig.state.types[cluster].isWildcard).to.equal(true);
    });

    it("says of a name that it doesn't exist, remembers it, and sends it when it appears (X11)", () => {
      const rig = settled();
      const missing = rig.request(request({ type: clusterLoadAssignment, subscribe: ["c"] }));
      expect(said(missing)).to.deep.equal(["ClusterLoadAssignment: -c"]);
      rig.request(request({ type: clusterLoadAssignment, nonce: missing[0]!.nonce }));
      rig.inbox = [];
      rig.publish({
        ...small(one),
        clusters: { ...small(one).clusters, c: { cluster: one, endpoints: one } },
      });
      expect(said(rig.inbox)).to.include("ClusterLoadAssignment: c");
    });

    it("sends a reconnecting client the differences and the removals, these last (X13)", () => {
      const rig = new Rig(small(two));
      const held = new Map([
        ["a", version(one)],
        ["b", version(one)],
        ["gone", version(one)],
      ]);
      expect(said(rig.request(request({ initialVersions: held })))).to.deep.equal(["Cluster: a"]);
      const endpoints = new Map([...held.keys()].map((name) => [name, version(one)]));
      const names = [...held.keys()];
      // Endpoints of the cluster that was sent come again, the others don't.
      const eds = request({ type: clusterLoadAssignment, subscribe: names, initialVersions: endpoints });
      expect(said(rig.request(eds))).to.deep.equal(["ClusterLoadAssignment: a"]);
      const listeners = new Map([["l", version({ ...one, names: ["t"] })]]);
      rig.request(request({ type: listener, initialVersions: listeners }));
      const routes = new Map([["t", version({ ...one, names: ["a"] })]]);
      rig.request(request({ type: routeConfiguration, subscribe: ["t"], initialVersions: routes }));
      expect(rig.sent.length).to.equal(2);
      rig.request(request({ type: clusterLoadAssignment, nonce: rig.sent[1]!.nonce }));
      expect(said(rig.request(request({ nonce: rig.sent[0]!.nonce })))[0]).to.equal("Cluster: -gone");
    });

    it("sends the endpoints of a changed cluster again (X3), and nothing where nothing changed (X16)", () => {
      const rig = settled();
      rig.publish(small(one));
      expect(rig.inbox).to.deep.equal([]);
      rig.publish(small(two));
      expect(said(rig.inbox)).to.deep.equal(["Cluster: a", "ClusterLoadAssignment: a"]);
    });

    it("doesn't send again what was refused, but what took its place, whatever the error says (X5)", () => {
      const rig = settled();
      rig.publish(small(two));
      const nonce = rig.inbox[0]!.nonce;
      rig.inbox = [];
      rig.request(request({ nonce, error: "" }));
      rig.publish(small(two));
      expect(said(rig.inbox)).to.deep.equal([]);
      rig.publish(small({ revision: 3 }));
      expect(said(rig.inbox)[0]).to.equal("Cluster: a");
    });

    it("lets routes go when a client never acknowledges a cluster, and removals when it never acknowledges routes", () => {
      const rig = settled();
      const next: Small = {
        ...small(one),
        clusters: { c: { cluster: one, endpoints: one } },
        tables: { t: { ...one, names: ["c"] } },
      };
      rig.publish(next);
      expect(said(rig.inbox)).to.deep.equal(["Cluster: c"]);
      rig.inbox = [];
      rig.tick(gateTimeoutMs - 1);
      expect(rig.inbox).to.deep.equal([]);
      rig.tick(1);
      expect(said(rig.inbox)).to.deep.equal(["RouteConfiguration: t"]);
      const nonce = rig.sent.find(({ resources }) => resources[0]?.name === "c")!.nonce;
      expect(said(rig.request(request({ nonce })))).to.include("Cluster: -a -b");
    });

    it("doesn't starve routes while clusters and endpoints change all the time", () => {
      const rig = settled();
      let revision = 10;
      const names = new Set<string>();
      for (let round = 0; round < 200; round += 1) {
        revision += 1;
        const name = `c${revision}`;
        const meaning = { revision };
        rig.publish({
          clusters: { a: { cluster: one, endpoints: meaning }, [name]: { cluster: one, endpoints: meaning } },
          tables: { t: { revision, names: ["a", name] } },
          listeners: { l: { ...one, names: ["t"] } },
        });
        // One message each way per change: the client is slower than the changes.
        rig.serverTakes();
        rig.envoyTakes(false);
        const held = rig.envoy.held[routeConfiguration].get("t");
        if (held !== undefined) names.add(held);
      }
      expect(names.size).to.be.above(5);
      expect(rig.envoy.faults).to.deep.equal([]);
    });

    it("holds nothing of names that are gone", () => {
      const rig = settled();
      for (let revision = 0; revision < 50; revision += 1) {
        rig.publish({
          ...small(one),
          clusters: { [`c${revision}`]: { cluster: one, endpoints: one } },
          tables: { t: one },
        });
        rig.settle();
      }
      for (const known of Object.values(rig.state.types)) {
        for (const held of [
          known.names,
          known.sent,
          known.accepted,
          known.refused,
          known.dirty,
          known.owed,
          known.unready,
        ])
          expect(held.size).to.be.below(2);
      }
    });
  });
});
