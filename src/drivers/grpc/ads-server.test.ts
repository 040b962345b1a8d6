import { fromBinary, create, toBinary } from "@bufbuild/protobuf";
import type { Client, ClientDuplexStream } from "@grpc/grpc-js";
import { expect } from "chai";
import { setTimeout as sleep } from "node:timers/promises";
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
} from "../../envoy/envoy/service/discovery/v3/discovery_pb.ts";
import type { DeltaDiscoveryResponse } from "../../envoy/envoy/service/discovery/v3/discovery_pb.ts";
import type { Log } from "../../model/log.ts";
import type { Metrics } from "../../model/metrics.ts";
import type { AdsServer } from "../../model/served.ts";
import { xdsType } from "../../model/xds-types.ts";
import { bearer, TestDoor } from "../../../test/serve/test-door.ts";
import { envoyConfigOf, fleetName } from "../../../test/serve/small-config.ts";
import { adsDefinition } from "./ads-service.ts";
import { createAdsServer } from "./create-ads-server.ts";
import { rawBytes } from "./raw-bytes.ts";

const silent: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silent,
};
const metrics: Metrics = {
  increment: () => undefined,
  set: () => undefined,
  forget: () => undefined,
  observe: () => undefined,
};
const small = {
  clusters: { a: 1001 },
  tables: { table: { "test.local": "a" } },
  listeners: { first: { port: 1002, table: "table" } },
};

/** The fields of a request that the tests use. */
interface Request {
  readonly typeUrl?: string;
  readonly node?: { readonly id?: string; readonly cluster?: string };
  readonly resourceNamesSubscribe?: string[];
  readonly responseNonce?: string;
  readonly errorDetail?: { readonly message?: string };
}

/** How a client comes in. */
interface Way {
  readonly door: TestDoor;
  readonly token: string;
  readonly path: string;
}

/** A scripted client on one stream. */
class TestClient {
  readonly responses: DeltaDiscoveryResponse[] = [];
  ended: number | undefined;
  readonly #client: Client;
  readonly #call: ClientDuplexStream<Buffer, Buffer>;

  constructor(port: number, { door, token, path }: Way) {
    this.#client = door.client(port);
    this.#call = this.#client.makeBidiStreamRequest(
      path,
      rawBytes.requestSerialize,
      rawBytes.responseDeserialize,
      bearer(token),
    );
    this.#call.on("data", (bytes: Buffer) =>
      this.responses.push(fromBinary(DeltaDiscoveryResponseSchema, bytes)),
    );
    this.#call.on("status", ({ code }: { code: number }) => (this.ended = code));
    this.#call.on("error", () => undefined);
  }

  send(request: Request): void {
    const node = { id: "pod-1", cluster: fleetName };
    const message = create(DeltaDiscoveryRequestSchema, { node, ...request });
    this.#call.write(Buffer.from(toBinary(DeltaDiscoveryRequestSchema, message)));
  }

  sendRaw(bytes: Buffer): void {
    this.#call.write(bytes);
  }

  /** The next response of the type, which is answered. */
  async next(typeUrl: string, error?: string): Promise<DeltaDiscoveryResponse> {
    const index = (): number => this.responses.findIndex((response) => response.typeUrl === typeUrl);
    await until(() => index() >= 0);
    const [response] = this.responses.splice(index(), 1);
    const errorDetail = error === undefined ? {} : { errorDetail: { message: error } };
    this.send({ typeUrl, responseNonce: response!.nonce, ...errorDetail });
    return response!;
  }

  async serve(): Promise<void> {
    this.send({ typeUrl: xdsType.cluster });
    await this.next(xdsType.cluster);
    this.send({ typeUrl: xdsType.clusterLoadAssignment, resourceNamesSubscribe: ["a"] });
    await this.next(xdsType.clusterLoadAssignment);
    this.send({ typeUrl: xdsType.listener });
    await this.next(xdsType.listener);
    this.send({ typeUrl: xdsType.routeConfiguration, resourceNamesSubscribe: ["table"] });
    await this.next(xdsType.routeConfiguration);
  }

  close(): void {
    this.#call.cancel();
    this.#client.close();
  }
}

async function until(isTrue: () => boolean): Promise<void> {
  for (let tries = 0; !isTrue(); tries += 1) {
    if (tries > 1_500) throw new Error("Waited too long.");
    await sleep(10);
  }
}

describe("the ADS server", function () {
  this.timeout(30_000);
  const servers: AdsServer[] = [];
  const clients: TestClient[] = [];
  let door: TestDoor;
  let token = "";
  const createServer = (replica: string, port = 0): AdsServer => {
    const server = createAdsServer({
      log: silent,
      metrics,
      listen: `127.0.0.1:${port}`,
      identifyPod: door.identifyPod,
      token: () => door.replicaToken(replica),
      maxConnectionAgeMs: 1_800_000,
    });
    server.admit(door.admission(fleetName));
    servers.push(server);
    return server;
  };
  const startServer = async (replica: string): Promise<AdsServer & { port: number }> => {
    const server = createServer(replica);
    return Object.assign(server, await server.start());
  };
  const connect = (
    port: number,
    path: string = adsDefinition.DeltaAggregatedResources.path,
    own = token,
  ): TestClient => {
    const client = new TestClient(port, { door, token: own, path });
    clients.push(client);
    return client;
  };

  before(async () => {
    door = await TestDoor.create();
    token = await door.token({ account: fleetName, pod: "pod-1" });
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) client.close();
    await Promise.all(
      servers.splice(0).map(async (server) => {
        await server.stop();
      }),
    );
  });

  it("serves a client in order and tells when its Gateway is programmed, once per change", async () => {
    const server = await startServer("one");
    let calls = 0;
    server.onAcknowledged(() => (calls += 1));
    server.publish(envoyConfigOf(small));
    const client = connect(server.port);
    await client.serve();
    await until(() => server.acknowledgements().get("ns/gateway")?.programmed === 1);
    expect([...server.listening()]).to.deep.equal([["pod-1", new Set([1002])]]);
    const [acknowledgements, before] = [server.acknowledgements(), calls];
    server.publish(envoyConfigOf({ ...small, clusters: { a: 1009 } }));
    const response = await client.next(xdsType.clusterLoadAssignment);
    expect(response.resources.map(({ name }) => name)).to.deep.equal(["a"]);
    await sleep(50);
    expect(server.acknowledgements()).to.equal(acknowledgements);
    expect(calls).to.equal(before);
  });

  /** A client refuses a listener in these words; until they are told. */
  async function isTold(words: string): Promise<void> {
    const server = await startServer("one");
    server.publish(envoyConfigOf({ listeners: { first: { port: 1, table: "table" } } }));
    const client = connect(server.port);
    client.send({ typeUrl: xdsType.cluster });
    await client.next(xdsType.cluster);
    client.send({ typeUrl: xdsType.listener });
    await client.next(xdsType.listener, words);
    await until(() => server.acknowledgements().get("ns/gateway")?.refused === words);
  }

  it("passes on what a client says when it refuses", async () => {
    await isTold("port 1 is not for you");
  });

  it("takes a refusal without words for one (X5)", async () => {
    await isTold("");
  });

  it("refuses who doesn't say who it is, what is no request, and other variants of the protocol", async () => {
    const { port } = await startServer("one");
    const nameless = connect(port);
    nameless.send({ typeUrl: xdsType.cluster, node: {} });
    const garbage = connect(port);
    garbage.sendRaw(Buffer.from([0xff, 0xff, 0xff]));
    const other = connect(
      port,
      "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources",
    );
    other.send({});
    await until(() => [nameless, garbage, other].every(({ ended }) => ended !== undefined));
    expect([nameless.ended, garbage.ended, other.ended]).to.deep.equal([3, 3, 12]);
  });

  it("serves two streams of one node, and the end of one leaves the other alone", async () => {
    const server = await startServer("one");
    server.publish(envoyConfigOf(small));
    const [one, two] = [connect(server.port), connect(server.port)];
    await Promise.all([one.serve(), two.serve()]);
    one.close();
    await sleep(50);
    server.publish(envoyConfigOf({ ...small, generation: 2 }));
    await until(() => server.acknowledgements().get("ns/gateway")?.programmed === 2);
    expect([...server.listening().keys()]).to.deep.equal(["pod-1"]);
  });

  it("tells the leader what the Envoys of a follower say, over a restart of the leader", async () => {
    const [leader, follower] = [await startServer("leader"), await startServer("follower")];
    for (const server of [leader, follower]) server.publish(envoyConfigOf(small));
    follower.followLeader(`127.0.0.1:${leader.port}`);
    const client = connect(follower.port);
    await client.serve();
    await until(() => leader.acknowledgements().get("ns/gateway")?.programmed === 1);
    await until(() => leader.listening().get("pod-1")?.has(1002) === true);
    const { port } = leader;
    await leader.stop();
    const next = createServer("next", port);
    await next.start();
    await until(() => next.acknowledgements().get("ns/gateway")?.programmed === 1);
    follower.followLeader(undefined);
    await until(() => next.acknowledgements().size === 0);
    // An Envoy without its controller still listens.
    expect(next.listening().get("pod-1")?.has(1002)).to.equal(true);
  });

  it("ends a stream of reports that are none", async () => {
    const { port } = await startServer("one");
    const replica = connect(port, "/mcwan.v1.ReplicaReports/Report", await door.replicaToken("two"));
    replica.sendRaw(Buffer.from("{}"));
    await until(() => replica.ended === 3);
  });

  it("ends streams in good order when it stops", async () => {
    const server = await startServer("one");
    server.publish(envoyConfigOf(small));
    const client = connect(server.port);
    await client.serve();
    await server.stop();
    await until(() => client.ended === 0);
  });
});
