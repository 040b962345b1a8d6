/** Streams that no Envoy would open: each is refused or ignored, and none harms another. */
import { create, toBinary } from "@bufbuild/protobuf";
import type { Client, ClientDuplexStream } from "@grpc/grpc-js";
import { expect } from "chai";
import { setTimeout as sleep } from "node:timers/promises";
import { DeltaDiscoveryRequestSchema } from "../../envoy/envoy/service/discovery/v3/discovery_pb.ts";
import type { AdsServer } from "../../model/served.ts";
import { xdsType } from "../../model/xds-types.ts";
import { silentLog, silentMetrics } from "../../../test/serve/silent.ts";
import { bearer, TestDoor } from "../../../test/serve/test-door.ts";
import { envoyConfigOf, fleetName } from "../../../test/serve/small-config.ts";
import { adsDefinition } from "./ads-service.ts";
import { createAdsServer } from "./create-ads-server.ts";
import { rawBytes } from "./raw-bytes.ts";

/** The fields of a request that the tests use. */
interface Request {
  readonly typeUrl: string;
  readonly node?: { readonly id: string; readonly cluster: string };
  readonly resourceNamesSubscribe?: string[];
  readonly resourceNamesUnsubscribe?: string[];
  readonly initialResourceVersions?: Record<string, string>;
  readonly responseNonce?: string;
  readonly errorDetail?: { readonly code: number; readonly message: string };
}

/** A stream that counts what comes. */
class Hostile {
  responses = 0;
  ended: number | undefined;
  readonly client: Client;
  readonly call: ClientDuplexStream<Buffer, Buffer>;

  constructor(port: number, door: TestDoor, token: string) {
    this.client = door.client(port);
    const { path } = adsDefinition.DeltaAggregatedResources;
    this.call = this.client.makeBidiStreamRequest(
      path,
      rawBytes.requestSerialize,
      rawBytes.responseDeserialize,
      bearer(token),
    );
    this.call.on("data", () => (this.responses += 1));
    this.call.on("status", ({ code }: { code: number }) => (this.ended = code));
    this.call.on("error", () => undefined);
  }

  send(request: Request): this {
    const node = { id: "pod-1", cluster: fleetName };
    const message = create(DeltaDiscoveryRequestSchema, { node, ...request });
    this.call.write(Buffer.from(toBinary(DeltaDiscoveryRequestSchema, message)));
    return this;
  }
}

const { cluster, clusterLoadAssignment } = xdsType;

describe("the ADS server, when a client behaves as no Envoy does", function () {
  this.timeout(60_000);
  let server: AdsServer;
  let door: TestDoor;
  let token = "";
  let port = 0;
  const open: Hostile[] = [];
  /** Fleets of which the streams are counted. */
  const counted = new Set<string>();
  const connect = (): Hostile => {
    const client = new Hostile(port, door, token);
    open.push(client);
    return client;
  };
  const until = async (isTrue: () => boolean): Promise<void> => {
    for (let tries = 0; !isTrue(); tries += 1) {
      if (tries > 2_000) throw new Error("Waited too long.");
      await sleep(10);
    }
  };
  /** Another client is served. */
  const isAlive = async (): Promise<void> => {
    const other = connect().send({ typeUrl: cluster });
    await until(() => other.responses === 1);
  };

  before(async () => {
    door = await TestDoor.create();
    token = await door.token({ account: fleetName, pod: "pod-1" });
    server = createAdsServer({
      log: silentLog,
      metrics: {
        ...silentMetrics,
        set: (_name, labels) => counted.add(Object.values(labels).join()),
        forget: (_name, labels) => counted.delete(Object.values(labels).join()),
      },
      listen: "127.0.0.1:0",
      identifyPod: door.identifyPod,
      token: () => door.replicaToken("one"),
      maxConnectionAgeMs: 1_800_000,
    });
    server.admit(door.admission(fleetName));
    ({ port } = await server.start());
    server.publish(
      envoyConfigOf({
        clusters: { a: 1001 },
        tables: { table: { "test.local": "a" } },
        listeners: { first: { port: 1002, table: "table" } },
      }),
    );
  });

  afterEach(() => {
    for (const { call, client } of open.splice(0)) {
      call.cancel();
      client.close();
    }
  });

  after(async () => {
    await server.stop();
  });

  it("refuses a stream that asks for too many names, and one with an endless id", async () => {
    const names = Array.from({ length: 100_001 }, (_, index) => `n${index}`);
    const greedy = connect().send({ typeUrl: clusterLoadAssignment, resourceNamesSubscribe: names });
    const endless = connect().send({
      typeUrl: cluster,
      node: { id: "x".repeat(10_000), cluster: fleetName },
    });
    await until(() => greedy.ended !== undefined && endless.ended !== undefined);
    expect([greedy.ended, endless.ended]).to.deep.equal([8, 7]);
    await isAlive();
  });

  it("takes a request of 5 MB (X13)", async () => {
    const names = Array.from({ length: 2_500 }, (_, index) => `${index}-${"x".repeat(2_000)}`);
    const client = connect().send({ typeUrl: cluster, resourceNamesUnsubscribe: names });
    await until(() => client.responses === 1 || client.ended !== undefined);
    expect(client.ended).to.equal(undefined);
  });

  it("refuses a request of more than 32 MiB (X13)", async () => {
    const big = connect().send({ typeUrl: cluster, resourceNamesSubscribe: ["x".repeat(33 * 1024 * 1024)] });
    await until(() => big.ended !== undefined);
    expect(big.ended).to.equal(8);
    await isAlive();
  });

  it("never answers types that it doesn't serve, and goes on with the stream", async () => {
    const client = connect().send({ typeUrl: "" }).send({ typeUrl: "type.googleapis.com/what.is.This" });
    client.send({ typeUrl: xdsType.virtualHost, resourceNamesSubscribe: ["*"] }).send({ typeUrl: cluster });
    await until(() => client.responses === 1);
    await sleep(50);
    expect([client.responses, client.ended]).to.deep.equal([1, undefined]);
  });

  it("ignores foreign nonces, and names that were never asked for", async () => {
    const client = connect().send({
      typeUrl: cluster,
      resourceNamesSubscribe: ["*", "__proto__", "constructor"],
    });
    await until(() => client.responses === 1);
    client.send({
      typeUrl: cluster,
      responseNonce: "of another stream",
    });
    client.send({
      typeUrl: cluster,
      resourceNamesUnsubscribe: ["never", "toString", ""],
      responseNonce: "1",
    });
    client.send({ typeUrl: clusterLoadAssignment, initialResourceVersions: { a: "x", constructor: "y" } });
    await sleep(100);
    expect([client.responses, client.ended]).to.deep.equal([1, undefined]);
    await isAlive();
  });

  it("takes an error with code 0 for a refusal, and doesn't send the same again (X5)", async () => {
    const client = connect().send({ typeUrl: cluster });
    await until(() => client.responses === 1);
    client.send({ typeUrl: cluster, responseNonce: "1", errorDetail: { code: 0, message: "" } });
    await sleep(100);
    expect(client.responses).to.equal(1);
  });

  it("serves nobody a fleet that is not its own, and counts nothing of one that was made up", async () => {
    const strangers = Array.from({ length: 5 }, (_, index) =>
      connect().send({ typeUrl: cluster, node: { id: "pod-1", cluster: `made-up-${index}` } }),
    );
    await until(() => strangers.every(({ ended }) => ended === 7));
    expect(strangers.map(({ responses }) => responses)).to.deep.equal([0, 0, 0, 0, 0]);
    expect([...counted].filter((fleet) => fleet.startsWith("made-up"))).to.deep.equal([]);
  });

  it("ends a stream whose client is done, and survives a flood of streams that are cut at once", async () => {
    const done = connect().send({ typeUrl: cluster });
    done.call.end();
    await until(() => done.ended === 0);
    for (let round = 0; round < 100; round += 1) {
      const client = new Hostile(port, door, token).send({ typeUrl: cluster });
      client.call.cancel();
      client.client.close();
    }
    await isAlive();
  });
});
