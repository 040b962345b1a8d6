import { expect } from "chai";
import { toBinary } from "@bufbuild/protobuf";
import { encodeResponse } from "../drivers/grpc/discovery-messages.ts";
import { ClusterLoadAssignmentSchema } from "../envoy/envoy/config/endpoint/v3/endpoint_pb.ts";
import { xdsType } from "../model/xds-types.ts";
import { departedMs, Fleets } from "./fleets.ts";
import type { EnvoyStream } from "./fleets.ts";
import { lingerMs } from "./linger.ts";
import { envoyConfigOf, fleetName } from "../../test/serve/small-config.ts";
import type { SmallConfig } from "../../test/serve/small-config.ts";
import type { SnapshotType } from "./snapshot.ts";
import type { StreamResponse } from "./stream-state.ts";

const small: SmallConfig = {
  clusters: { a: 1001 },
  tables: { table: { "test.local": "a" } },
  listeners: { first: { port: 1002, table: "table" } },
};
const empty = { subscribe: [], unsubscribe: [], initialVersions: new Map<string, string>(), nonce: "" };

/** A client that accepts everything at once. */
class Willing {
  readonly stream: EnvoyStream;
  readonly removed: string[] = [];
  readonly received: string[] = [];
  readonly #fleets: Fleets;
  readonly #inbox: StreamResponse[] = [];

  constructor(fleets: Fleets, nowMs = 0) {
    this.#fleets = fleets;
    this.stream = fleets.open("pod-1", fleetName, (responses) => this.#inbox.push(...responses));
    this.#ask(xdsType.cluster, [], nowMs);
    this.#ask(xdsType.clusterLoadAssignment, ["a"], nowMs);
    this.#ask(xdsType.listener, [], nowMs);
    this.#ask(xdsType.routeConfiguration, ["table"], nowMs);
    this.settle(nowMs);
  }

  settle(nowMs: number): void {
    for (let response = this.#inbox.shift(); response !== undefined; response = this.#inbox.shift()) {
      const { type, nonce, resources, removed } = response;
      this.removed.push(...removed);
      this.received.push(...resources.map(({ name }) => name));
      this.#fleets.request(this.stream, { ...empty, type, nonce }, nowMs);
    }
  }

  #ask(type: SnapshotType, subscribe: string[], nowMs: number): void {
    this.#fleets.request(this.stream, { ...empty, type, subscribe }, nowMs);
  }
}

describe("fleets", () => {
  it("push nothing when the same content is published anew", () => {
    const fleets = new Fleets();
    expect(fleets.publish(envoyConfigOf(small), 0).changed).to.equal(4);
    const client = new Willing(fleets);
    const before = client.received.length;
    expect(fleets.publish(envoyConfigOf(small), 1)).to.deep.equal({ changed: 0 });
    client.settle(1);
    expect(client.received.length).to.equal(before);
  });

  it("are served each by itself: one that can't be encoded keeps what it had", () => {
    const fleets = new Fleets();
    fleets.publish(envoyConfigOf(small), 0);
    const client = new Willing(fleets);
    const good = envoyConfigOf({ ...small, clusters: { a: 1001, b: 1004 } }).fleets.get(fleetName)!;
    // No 32 bits hold this port.
    const bad = envoyConfigOf({ ...small, clusters: { a: -1 } }).fleets.get(fleetName)!;
    const publish = (config: typeof good) => (): unknown =>
      fleets.publish(
        {
          fleets: new Map([
            ["a-bad-one", bad],
            [fleetName, config],
          ]),
        },
        1,
      );
    expect(publish(good)).to.throw(AggregateError);
    client.settle(1);
    expect(client.received).to.include("b");
    const before = client.received.length;
    expect(publish(bad)).to.throw(AggregateError);
    client.settle(1);
    expect(client.received.length).to.equal(before);
    expect(fleets.publish(envoyConfigOf({ ...small, clusters: { a: 1001, b: 1005 } }), 2).changed).to.equal(
      1,
    );
  });

  it("push one resource for one endpoint that changes among a thousand services, at its size and 300 bytes", () => {
    const clusters = Object.fromEntries(
      Array.from({ length: 1_000 }, (_, index) => [`s${index}`, 1000 + index]),
    );
    const names = Object.keys(clusters);
    const hosts = Object.fromEntries(names.map((name) => [name, name]));
    const many: SmallConfig = { ...small, clusters, tables: { table: hosts } };
    const fleets = new Fleets();
    fleets.publish(envoyConfigOf(many), 0);
    const inbox: StreamResponse[] = [];
    const stream = fleets.open("pod-1", fleetName, (responses) => inbox.push(...responses));
    const wanted = new Map<SnapshotType, string[]>([
      [xdsType.cluster, []],
      [xdsType.clusterLoadAssignment, names],
      [xdsType.listener, []],
      [xdsType.routeConfiguration, ["table"]],
    ]);
    for (const [type, subscribe] of wanted) fleets.request(stream, { ...empty, type, subscribe }, 0);
    for (let response = inbox.shift(); response !== undefined; response = inbox.shift())
      fleets.request(stream, { ...empty, type: response.type, nonce: response.nonce }, 0);

    const { changed } = fleets.publish(envoyConfigOf({ ...many, clusters: { ...clusters, s7: 9 } }), 1);
    expect(changed).to.equal(1);
    expect(inbox.map(({ resources }) => resources.map(({ name }) => name))).to.deep.equal([["s7"]]);
    const [pushed] = inbox;
    const endpoints = envoyConfigOf({ clusters: { s7: 9 } })
      .fleets.get(fleetName)
      ?.endpoints.get("s7");
    const size = toBinary(ClusterLoadAssignmentSchema, endpoints!).length;
    expect(encodeResponse(pushed!).length).to.be.at.most(size + 300);
  });

  it("call a new generation programmed where no byte had to change", () => {
    const fleets = new Fleets();
    fleets.publish(envoyConfigOf(small), 0);
    new Willing(fleets);
    fleets.publish(envoyConfigOf({ ...small, generation: 2 }), 1);
    expect(fleets.report().acknowledgements).to.deep.equal([
      { gateway: "ns/gateway", generation: 2, programmed: 2 },
    ]);
  });

  it("keep a listener whose table stays open for a while, but not on a port that another took", () => {
    const fleets = new Fleets();
    fleets.publish(envoyConfigOf(small), 0);
    const client = new Willing(fleets);
    fleets.publish(envoyConfigOf({ ...small, listeners: { second: { port: 1003, table: "table" } } }), 1);
    client.settle(1);
    expect(client.removed).to.deep.equal([]);
    expect(fleets.report().listening["pod-1"]?.ports).to.deep.equal([1003]);
    fleets.tick(lingerMs);
    fleets.tick(lingerMs + 1);
    client.settle(lingerMs + 1);
    expect(client.removed).to.deep.equal(["first"]);
    fleets.publish(
      envoyConfigOf({ ...small, listeners: { third: { port: 1003, table: "table" } } }),
      lingerMs + 2,
    );
    client.settle(lingerMs + 2);
    expect(client.removed).to.deep.equal(["first", "second"]);
  });

  it("remember the ports of an Envoy that lost its stream, for a while", () => {
    const fleets = new Fleets();
    fleets.publish(envoyConfigOf(small), 0);
    const client = new Willing(fleets);
    fleets.close(client.stream, 10);
    fleets.close(client.stream, 11);
    expect(fleets.report()).to.deep.equal({
      acknowledgements: [],
      listening: { "pod-1": { ports: [1002], isConnected: false, sendsTo: {} } },
      refusedRoutes: [],
    });
    expect(fleets.tick(9 + departedMs)).to.equal(false);
    expect(fleets.tick(10 + departedMs)).to.equal(true);
    expect(fleets.report().listening).to.deep.equal({});
  });

  it("tell the ports of peers that an Envoy may send to: the new ones at once, the old ones until it acknowledged", () => {
    const fleets = new Fleets();
    const [old, next] = [{ east: { high: [31111] } }, { east: { high: [32222] } }];
    const told = (): unknown => fleets.report().listening["pod-1"]?.sendsTo;
    fleets.publish({ ...envoyConfigOf(small), sendsTo: old }, 0);
    const client = new Willing(fleets);
    expect(told()).to.deep.equal(old);
    fleets.publish({ ...envoyConfigOf({ ...small, clusters: { a: 2002 } }), sendsTo: next }, 1);
    expect(told()).to.deep.equal({ east: { high: [31111, 32222] } });
    client.settle(1);
    expect(told()).to.deep.equal(next);
    fleets.publish({ ...envoyConfigOf({ ...small, clusters: { a: 2002 } }), sendsTo: old }, 2);
    expect(told(), "nothing that it was sent has changed").to.deep.equal(old);
    fleets.close(client.stream, 3);
    expect(told(), "an Envoy goes on without us").to.deep.equal(old);
  });

  it("say nothing of where an Envoy sends that has a configuration of before, until it has acknowledged ours", () => {
    const fleets = new Fleets();
    fleets.publish({ ...envoyConfigOf(small), sendsTo: { east: { high: [1] } } }, 0);
    const stream = fleets.open("pod-1", fleetName, () => undefined);
    const ask = { ...empty, initialVersions: new Map([["a", "of before"]]) };
    for (const type of [xdsType.listener, xdsType.cluster] as const)
      fleets.request(stream, { ...ask, type }, 0);
    expect(fleets.report().listening["pod-1"]).to.deep.equal({ ports: [], isConnected: true });
  });

  it("keep the last configuration of a fleet that is gone until its last Envoy leaves, then nothing", () => {
    const fleets = new Fleets();
    fleets.publish(envoyConfigOf(small), 0);
    const client = new Willing(fleets);
    fleets.publish({ fleets: new Map() }, 1);
    expect(fleets.report().acknowledgements).to.deep.equal([]);
    expect([...fleets.streams().keys()]).to.deep.equal([fleetName]);
    fleets.close(client.stream, 2);
    expect(fleets.streams().size).to.equal(0);
    const stranger = fleets.open("pod", "unknown", () => undefined);
    expect(fleets.report().acknowledgements).to.deep.equal([]);
    fleets.close(stranger, 3);
    expect(fleets.streams().size).to.equal(0);
  });
});
