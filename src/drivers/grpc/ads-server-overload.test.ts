/** Clients that would use up the server: each costs it little, is refused where it goes too far, and harms no other. */
import { create, toBinary } from "@bufbuild/protobuf";
import { Metadata } from "@grpc/grpc-js";
import type { Client, ClientDuplexStream } from "@grpc/grpc-js";
import { expect } from "chai";
import { connect as connectHttp2 } from "node:http2";
import type { IncomingHttpHeaders } from "node:http2";
import { connect as connectTcp, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { DeltaDiscoveryRequestSchema } from "../../envoy/envoy/service/discovery/v3/discovery_pb.ts";
import type { AdsServer } from "../../model/served.ts";
import { controllerServerName } from "../../model/names.ts";
import { xdsType } from "../../model/xds-types.ts";
import { silentLog, silentMetrics } from "../../../test/serve/silent.ts";
import { TestDoor } from "../../../test/serve/test-door.ts";
import { envoyConfigOf, fleetName } from "../../../test/serve/small-config.ts";
import { adsDefinition } from "./ads-service.ts";
import { createAdsServer } from "./create-ads-server.ts";
import { rawBytes } from "./raw-bytes.ts";
import { maxStreams, maxStreamsOfConnection } from "./stream-limits.ts";

const { cluster, clusterLoadAssignment } = xdsType;
const { path } = adsDefinition.DeltaAggregatedResources;
const mebi = 1024 * 1024;

/** A request of an Envoy of the fleet. */
function request(
  typeUrl: string,
  more: { subscribe?: string[]; nonce?: string; metadata?: string } = {},
): Buffer {
  const { subscribe = [], nonce = "", metadata = "" } = more;
  const message = create(DeltaDiscoveryRequestSchema, {
    node: { id: "pod-1", cluster: fleetName, metadata: { padding: metadata } },
    typeUrl,
    resourceNamesSubscribe: subscribe,
    responseNonce: nonce,
  });
  return Buffer.from(toBinary(DeltaDiscoveryRequestSchema, message));
}

function withToken(metadata = new Metadata()): Metadata {
  metadata.set("authorization", `Bearer ${token}`);
  return metadata;
}

/** A stream that counts what comes. */
class Stream {
  responses = 0;
  bytes = 0;
  ended: number | undefined;
  readonly #client: Client;
  readonly call: ClientDuplexStream<Buffer, Buffer>;

  constructor(port: number, options: { readonly client?: Client; readonly metadata?: Metadata } = {}) {
    this.#client = options.client ?? door.client(port);
    this.call = this.#client.makeBidiStreamRequest(
      path,
      rawBytes.requestSerialize,
      rawBytes.responseDeserialize,
      withToken(options.metadata),
    );
    this.call.on("data", (bytes: Buffer) => {
      this.responses += 1;
      this.bytes += bytes.length;
    });
    this.call.on("status", ({ code }: { code: number }) => (this.ended = code));
    this.call.on("error", () => undefined);
  }

  close(): void {
    this.call.cancel();
    this.#client.close();
  }
}

async function until(what: string, isTrue: () => boolean): Promise<void> {
  for (let tries = 0; !isTrue(); tries += 1) {
    if (tries > 12_000) throw new Error(`Waited too long for ${what}.`);
    await sleep(10);
  }
}

let door: TestDoor;
let token = "";

describe("the ADS server, when a client asks too much of it", function () {
  this.timeout(300_000);
  let server: AdsServer;
  let port = 0;
  let revision = 0;
  const open: { close(): void }[] = [];
  const connect = (options?: ConstructorParameters<typeof Stream>[1]): Stream => {
    const stream = new Stream(port, options);
    open.push(stream);
    return stream;
  };
  /** Publishes about 2 MiB of clusters, each of them changed. */
  const publishMuch = (): void => {
    revision += 1;
    const names = Array.from({ length: 200 }, (_, index) => `${"c".repeat(4_000)}${index}`);
    const clusters = Object.fromEntries(names.map((name) => [name, 1_001]));
    server.publish(envoyConfigOf({ clusters, connectTimeoutS: revision }));
  };
  /** Another client is served, whatever happens. */
  const isServing = async (): Promise<void> => {
    const other = connect();
    other.call.write(request(cluster));
    await until("an answer to another", () => other.responses > 0);
    other.close();
  };
  const residentMiB = (): number => {
    globalThis.gc?.();
    return process.memoryUsage().rss / mebi;
  };

  before(async () => {
    door = await TestDoor.create();
    token = await door.token({ account: fleetName, pod: "pod-1" });
  });
  beforeEach(async () => {
    server = createAdsServer({
      log: silentLog,
      metrics: silentMetrics,
      listen: "127.0.0.1:0",
      identifyPod: door.identifyPod,
      token: () => door.replicaToken("one"),
      maxConnectionAgeMs: 1_800_000,
    });
    server.admit(door.admission(fleetName));
    ({ port } = await server.start());
    server.publish(envoyConfigOf({ clusters: { a: 1_001 } }));
  });

  afterEach(async () => {
    for (const each of open.splice(0)) each.close();
    await server.stop();
  });

  it("refuses a million names, asked for or said to be held, and names without end", async () => {
    const names = Array.from({ length: 1_000_000 }, (_, index) => `n${index}`);
    const greedy = connect();
    greedy.call.write(request(clusterLoadAssignment, { subscribe: names }));
    const holding = connect();
    const initialResourceVersions = Object.fromEntries(names.slice(0, 200_000).map((name) => [name, "v"]));
    const node = { id: "pod-1", cluster: fleetName };
    const message = create(DeltaDiscoveryRequestSchema, { node, typeUrl: cluster, initialResourceVersions });
    holding.call.write(Buffer.from(toBinary(DeltaDiscoveryRequestSchema, message)));
    const endless = connect();
    endless.call.write(request(clusterLoadAssignment, { subscribe: ["x".repeat(mebi)] }));
    await until("refusals", () => [greedy, holding, endless].every(({ ended }) => ended !== undefined));
    expect([greedy.ended, holding.ended, endless.ended]).to.deep.equal([8, 8, 8]);
    await isServing();
  });

  it("takes 64 KiB of metadata, of the node or in headers", async () => {
    const big = connect();
    big.call.write(request(cluster, { metadata: "x".repeat(64 * 1024) }));
    await until("an answer", () => big.responses === 1);
    const metadata = new Metadata();
    for (let index = 0; index < 64; index += 1) metadata.set(`x-padding-${index}`, "x".repeat(1024));
    const heading = connect({ metadata });
    heading.call.write(request(cluster));
    await until("an answer or a refusal", () => heading.responses === 1 || heading.ended !== undefined);
    await isServing();
  });

  it("refuses what is small on the wire and endless when it is unpacked", async () => {
    const bomb = gzipSync(Buffer.alloc(256 * mebi));
    expect(bomb.length).to.be.below(mebi);
    const head = Buffer.alloc(5);
    head.writeUInt8(1, 0);
    head.writeUInt32BE(bomb.length, 1);
    const before = residentMiB();
    const session = connectHttp2(`https://127.0.0.1:${port}`, {
      ca: door.bundle,
      servername: controllerServerName,
    });
    open.push({
      close: () => {
        session.destroy();
      },
    });
    session.on("error", () => undefined);
    const call = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      "grpc-encoding": "gzip",
      authorization: `Bearer ${token}`,
      te: "trailers",
    });
    let status: string | undefined;
    const note = (headers: IncomingHttpHeaders): void => {
      status ??= headers["grpc-status"]?.toString();
    };
    call.on("response", note);
    call.on("trailers", note);
    call.on("error", () => undefined);
    call.resume();
    call.write(Buffer.concat([head, bomb]));
    await until("a refusal", () => status !== undefined);
    expect(status).to.equal("8");
    expect(residentMiB() - before).to.be.below(200);
    await isServing();
  });

  it("has room for so many streams in all, and for some of one connection, then says so until some are gone", async () => {
    const streams: Stream[] = [];
    const connections = maxStreams / maxStreamsOfConnection;
    for (let index = 0; index < connections; index += 1) {
      const client = door.client(port, { "grpc.use_local_subchannel_pool": 1 });
      for (let each = 0; each < maxStreamsOfConnection; each += 1) streams.push(connect({ client }));
    }
    for (const { call } of streams) call.write(request(cluster));
    await until("all answers", () => streams.every(({ responses }) => responses === 1));
    const late = connect();
    late.call.write(request(cluster));
    await until("a refusal", () => late.ended !== undefined);
    expect(late.ended).to.equal(8);
    for (const stream of streams) stream.close();
    await until("the end of all", () => streams.every(({ ended }) => ended !== undefined));
    await isServing();
  });

  it("answers no ping without end, and serves the others meanwhile", async () => {
    const before = residentMiB();
    const socket = connectTls({
      host: "127.0.0.1",
      port,
      ca: door.bundle,
      servername: controllerServerName,
      ALPNProtocols: ["h2"],
    });
    open.push({ close: () => socket.destroy() });
    socket.on("error", () => undefined);
    // Its answers are never read.
    socket.pause();
    const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    socket.write(Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), settings]));
    const ping = Buffer.concat([Buffer.from([0, 0, 8, 6, 0, 0, 0, 0, 0]), Buffer.alloc(8)]);
    const pings = Buffer.concat(Array.from({ length: 1_000 }, () => ping));
    for (let round = 0; round < 500 && !socket.destroyed; round += 1) {
      socket.write(pings);
      if (round % 50 === 0) await isServing();
    }
    await isServing();
    expect(residentMiB() - before).to.be.below(100);
  });

  it("costs the same for a client that never answers, and for one that reads 1 KB/s while everything changes", async () => {
    const relay = slowRelay(port);
    open.push(relay);
    const slow = new Stream(await relay.port);
    open.push(slow);
    const silent = connect();
    for (const { call } of [slow, silent]) call.write(request(cluster));
    const willing = connect();
    willing.call.on("data", () => willing.call.write(request(cluster, { nonce: `${willing.responses}` })));
    willing.call.write(request(cluster));
    await until("the first answers", () => silent.responses === 1 && willing.responses === 1);
    for (let round = 0; round < 5; round += 1) {
      const seen = willing.responses;
      publishMuch();
      await until("a push", () => willing.responses > seen);
    }
    const before = residentMiB();
    const received = slow.bytes;
    for (let round = 0; round < 30; round += 1) {
      const seen = willing.responses;
      publishMuch();
      await until("a push", () => willing.responses > seen);
    }
    // Much more went to the one that answers.
    expect(willing.bytes).to.be.above(30 * mebi);
    expect(silent.responses).to.equal(1);
    expect(slow.bytes - received).to.be.below(mebi);
    expect(residentMiB() - before).to.be.below(64);
  });
});

/** Passes on what a client says, and 1 KB a second of what it is told. */
function slowRelay(target: number): { readonly port: Promise<number>; close(): void } {
  const sockets = new Set<Socket>();
  const timers: NodeJS.Timeout[] = [];
  const relay = createServer((client) => {
    const upstream = connectTcp(target, "127.0.0.1");
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
    }
    client.pipe(upstream);
    upstream.pause();
    timers.push(
      setInterval(() => {
        const some: unknown = upstream.read(1024) ?? upstream.read();
        if (Buffer.isBuffer(some)) client.write(some.subarray(0));
      }, 1_000),
    );
  });
  return {
    port: new Promise((resolve) => {
      relay.listen(0, "127.0.0.1", () => {
        resolve((relay.address() as AddressInfo).port);
      });
    }),
    close: () => {
      for (const timer of timers) clearInterval(timer);
      for (const socket of sockets) socket.destroy();
      relay.close();
    },
  };
}
