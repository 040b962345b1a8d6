import { expect } from "chai";
import { xdsType } from "../model/xds-types.ts";
import { Rig } from "../../test/serve/stream-rig.ts";
import type { Small } from "../../test/serve/stream-rig.ts";
import type { Meaning } from "../../test/serve/model-envoy.ts";
import { gateTimeoutMs, isWaiting } from "./stream-response.ts";
import type { StreamRequest, StreamResponse } from "./stream-state.ts";

const { secret, cluster, clusterLoadAssignment, listener, routeConfiguration } = xdsType;

describe("an ADS stream, by the rules of the protocol", () => {
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
    expect(rig.state.types[cluster].isWildcard).to.equal(false);
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

  it("lets routes go without what leads to a cluster that a client never acknowledges, and removes nothing that it may name (X1, X2)", () => {
    const rig = settled();
    const next: Small = {
      ...small(one),
      clusters: { c: { cluster: one, endpoints: one } },
      tables: { t: { ...one, names: ["c"] } },
    };
    rig.publish(next);
    // Nothing named b.
    expect(said(rig.inbox)).to.deep.equal(["Cluster: c -b"]);
    rig.inbox = [];
    rig.tick(gateTimeoutMs - 1);
    expect(rig.inbox).to.deep.equal([]);
    rig.tick(1);
    expect(said(rig.inbox)).to.deep.equal(["RouteConfiguration: t"]);
    expect(rig.inbox[0]!.resources[0]!.version).to.equal(version({ ...one, names: [] }));
    const nonce = rig.sent.find(({ resources }) => resources[0]?.name === "c")!.nonce;
    rig.inbox = [];
    rig.request(request({ nonce }));
    rig.request(request({ type: clusterLoadAssignment, subscribe: ["c"] }));
    rig.request(request({ type: clusterLoadAssignment, nonce: rig.inbox[0]!.nonce }));
    rig.request(request({ type: clusterLoadAssignment, nonce: rig.inbox[1]!.nonce }));
    // The table before may still be in force, for all that is known.
    rig.tick(10 * gateTimeoutMs);
    expect(said(rig.inbox)).to.deep.equal(["ClusterLoadAssignment: -b", "ClusterLoadAssignment: c"]);
    const routes = rig.sent.findLast(({ type }) => type === routeConfiguration)!;
    const opened = rig.request(request({ type: routeConfiguration, nonce: routes.nonce }));
    expect(said(opened)).to.deep.equal(["Cluster: -a", "RouteConfiguration: t"]);
    expect(opened[1]!.resources[0]!.version).to.equal(version({ ...one, names: ["c"] }));
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
