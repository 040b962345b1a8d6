/** Who is let in at the port that serves Envoys, and as whom (T25, T26 of the attacks that the door has to stand). */
import { create, toBinary } from "@bufbuild/protobuf";
import { Client, credentials, status } from "@grpc/grpc-js";
import type { ClientDuplexStream } from "@grpc/grpc-js";
import { expect } from "chai";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { DeltaDiscoveryRequestSchema } from "../../envoy/envoy/service/discovery/v3/discovery_pb.ts";
import type { AdsServer } from "../../model/served.ts";
import { controllerServerName } from "../../model/names.ts";
import { xdsType } from "../../model/xds-types.ts";
import { silentLog, silentMetrics } from "../../../test/serve/silent.ts";
import { envoyConfigOf, fleetName } from "../../../test/serve/small-config.ts";
import { bearer, TestDoor } from "../../../test/serve/test-door.ts";
import { ask, freePort, startBackend, startLoad, TestEnvoy, until } from "../../../test/serve/test-envoy.ts";
import { adsDefinition } from "./ads-service.ts";
import { createAdsServer } from "./create-ads-server.ts";
import { rawBytes } from "./raw-bytes.ts";
import { reportDefinition } from "./replica-report.ts";

const methods = {
  delta: adsDefinition.DeltaAggregatedResources.path,
  "state of the world": adsDefinition.StreamAggregatedResources.path,
  report: reportDefinition.Report.path,
};
type Method = keyof typeof methods;
const { UNAUTHENTICATED, PERMISSION_DENIED, UNIMPLEMENTED, INVALID_ARGUMENT } = status;
const mine = { account: fleetName, pod: "pod-1" };
const node = { id: "pod-1", cluster: fleetName };

/** A stream that says one thing. */
class Caller {
  responses = 0;
  ended: number | undefined;
  readonly client: Client;
  readonly call: ClientDuplexStream<Buffer, Buffer>;

  constructor(client: Client, method: Method, token: string | undefined) {
    this.client = client;
    const { requestSerialize, responseDeserialize } = rawBytes;
    this.call = client.makeBidiStreamRequest(
      methods[method],
      requestSerialize,
      responseDeserialize,
      bearer(token),
    );
    this.call.on("data", () => (this.responses += 1));
    this.call.on("status", ({ code }: { code: number }) => (this.ended = code));
    this.call.on("error", () => undefined);
  }

  send(as?: { readonly id: string; readonly cluster: string }, typeUrl: string = xdsType.cluster): this {
    const message = create(DeltaDiscoveryRequestSchema, { typeUrl, ...(as && { node: as }) });
    this.call.write(Buffer.from(toBinary(DeltaDiscoveryRequestSchema, message)));
    return this;
  }

  async code(): Promise<number> {
    return await until("the end of the call", () => Promise.resolve(this.ended));
  }

  close(): void {
    this.call.cancel();
    this.client.close();
  }
}

describe("the door of the port that serves Envoys", function () {
  this.timeout(120_000);
  let door: TestDoor;
  let server: AdsServer;
  let port = 0;
  const callers: Caller[] = [];

  const start = async (maxConnectionAgeMs: number): Promise<void> => {
    server = createAdsServer({
      log: silentLog,
      metrics: silentMetrics,
      listen: `127.0.0.1:${port}`,
      identifyPod: door.identifyPod,
      token: () => door.replicaToken("one"),
      maxConnectionAgeMs,
    });
    ({ port } = await server.start());
    server.admit(door.admission(fleetName, "other-fleet"));
  };
  const small = { clusters: { a: 1001 }, tables: {}, listeners: {} };

  beforeEach(async () => {
    door = await TestDoor.create();
    port = 0;
    await start(1_800_000);
    server.publish(envoyConfigOf(small));
  });
  afterEach(async () => {
    for (const caller of callers.splice(0)) caller.close();
    await server.stop();
  });

  const call = (method: Method, token: string | undefined): Caller => {
    const caller = new Caller(door.client(port), method, token);
    callers.push(caller);
    return caller;
  };
  /** The code with which a method ends for a token; the first message is what an honest gateway would say. */
  const codeOf = async (method: Method, token: string | undefined): Promise<number> =>
    await call(method, token).send(node).code();

  it("is closed on every method to a call without a token, and to every token that is not good", async () => {
    const stranger = await TestDoor.create();
    const bad = {
      none: undefined,
      garbage: "x",
      "two dots": "a.b.c",
      "too long": "x".repeat(20_000),
      "of another API server": await stranger.token(mine),
      "signed by a key that is not known": await stranger.token({ ...mine, kid: "two" }),
      "for another audience": await door.token({ ...mine, audience: "https://kubernetes.default.svc" }),
      "of another issuer": await door.token({ ...mine, issuer: "https://evil.example" }),
      ended: await door.token({ ...mine, expiresIn: -120 }),
      "bound to no Pod": await door.token({ ...mine, pod: "" }),
    };
    for (const [what, token] of Object.entries(bad)) {
      for (const method of Object.keys(methods) as Method[])
        expect(await codeOf(method, token), `${method}, token ${what}`).to.equal(UNAUTHENTICATED);
    }
  });

  it("gives a gateway its own configuration, and another's to nobody, whatever the call says", async () => {
    const token = await door.token(mine);
    const served = call("delta", token).send(node);
    await until("a response", () => Promise.resolve(served.responses === 1));
    for (const as of [
      { id: "pod-1", cluster: "other-fleet" },
      { id: "pod-2", cluster: fleetName },
      { id: "", cluster: "other-fleet" },
      { id: "pod-1", cluster: "" },
    ]) {
      const liar = call("delta", token).send(as);
      const expected = as.id === "" || as.cluster === "" ? INVALID_ARGUMENT : PERMISSION_DENIED;
      expect([await liar.code(), liar.responses], JSON.stringify(as)).to.deep.equal([expected, 0]);
    }
    const others = await door.token({ account: "other-fleet", pod: "pod-1" });
    expect(await codeOf("delta", others)).to.equal(PERMISSION_DENIED);
    // Who was let in doesn't become another on the way.
    served.send({ id: "pod-1", cluster: "other-fleet" }, xdsType.secret);
    expect([await served.code(), served.responses]).to.deep.equal([PERMISSION_DENIED, 1]);
  });

  it("is closed to accounts of no gateways, of the same name elsewhere, and to controllers", async () => {
    for (const claims of [
      { account: "default", pod: "pod-1" },
      { ...mine, namespace: "elsewhere" },
      { account: "mc-wan-controller", pod: "pod-1" },
    ])
      expect(await codeOf("delta", await door.token(claims))).to.equal(PERMISSION_DENIED);
  });

  it("takes reports from controllers of this cluster only, and serves no state of the world", async () => {
    expect(await codeOf("report", await door.token(mine))).to.equal(PERMISSION_DENIED);
    const elsewhere = { account: "mc-wan-controller", pod: "x", namespace: "elsewhere" };
    expect(await codeOf("report", await door.token(elsewhere))).to.equal(PERMISSION_DENIED);
    // It is let in, and what it says is no report.
    expect(await codeOf("report", await door.replicaToken("two"))).to.equal(INVALID_ARGUMENT);
    expect(await codeOf("state of the world", await door.token(mine))).to.equal(UNIMPLEMENTED);
  });

  it("speaks TLS 1.3 and nothing else", async () => {
    const plain = new Caller(
      new Client(`127.0.0.1:${port}`, credentials.createInsecure()),
      "delta",
      await door.token(mine),
    );
    callers.push(plain);
    expect(await plain.send(node).code()).to.equal(status.UNAVAILABLE);
    const attempt = async (maxVersion: "TLSv1.2" | "TLSv1.3"): Promise<string> =>
      await new Promise((resolve) => {
        const options = { host: "127.0.0.1", port, ca: door.bundle, servername: controllerServerName };
        const socket = connectTls({ ...options, ALPNProtocols: ["h2"], maxVersion }, () => {
          resolve(socket.getProtocol() ?? "");
          socket.destroy();
        });
        socket.on("error", (error: NodeJS.ErrnoException) => {
          resolve(error.code ?? error.message);
        });
      });
    expect(await attempt("TLSv1.3")).to.equal("TLSv1.3");
    expect(await attempt("TLSv1.2")).to.match(/ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION|ECONNRESET/);
  });

  it("shows a new certificate to new connections, and cuts none that stands", async () => {
    const serial = async (): Promise<string> =>
      await new Promise((resolve, reject) => {
        const options = { host: "127.0.0.1", port, ca: door.bundle, servername: controllerServerName };
        const socket = connectTls({ ...options, ALPNProtocols: ["h2"] }, () => {
          resolve(socket.getPeerCertificate().serialNumber);
          socket.destroy();
        });
        socket.on("error", reject);
      });
    const served = call("delta", await door.token(mine)).send(node);
    await until("a response", () => Promise.resolve(served.responses === 1));
    const before = await serial();
    await door.renew();
    server.admit(door.admission(fleetName));
    expect(await serial()).not.to.equal(before);
    server.publish(envoyConfigOf({ ...small, clusters: { a: 1001, b: 1002 } }));
    served.send(undefined);
    await sleep(100);
    expect(served.ended).to.equal(undefined);
  });

  it("goes on without the API server, follows it to new keys, and isn't led to ask it all the time", async () => {
    const old = await door.token(mine);
    const first = call("delta", old).send(node);
    await until("a response", () => Promise.resolve(first.responses === 1));
    door.isAway = true;
    const second = call("delta", old).send(node);
    await until("a response", () => Promise.resolve(second.responses === 1));
    door.isAway = false;
    expect(door.fetches).to.equal(1);
    // Keys were asked for a moment ago: strangers don't make it ask again.
    await door.changeKeys("two");
    for (let round = 0; round < 20; round += 1)
      await codeOf("delta", await door.token({ ...mine, kid: `stranger-${round}` }));
    expect(door.fetches).to.be.at.most(2);
  });

  it("knows nobody, and says so, while no keys could be had", async () => {
    door.isAway = true;
    expect(await codeOf("delta", await door.token(mine))).to.equal(status.UNAVAILABLE);
    door.isAway = false;
    const served = call("delta", await door.token(mine)).send(node);
    await until("a response", () => Promise.resolve(served.responses === 1));
  });

  it("checks a real Envoy's token again when its connection has aged, and costs no request", async () => {
    await server.stop();
    await start(1_500);
    const backend = await startBackend("a");
    const listener = await freePort();
    const config = envoyConfigOf({
      clusters: { a: backend.port },
      tables: { table: { "test.local": "a" } },
      listeners: { first: { port: listener, table: "table" } },
    });
    server.publish(config);
    const envoy = await TestEnvoy.start(port, fleetName, door);
    try {
      await until("a first answer", async () => (await ask(listener, "test.local")) === "200 a");
      const load = startLoad("test.local", () => listener);
      const count = async (name: string): Promise<number> =>
        Number((await envoy.admin(`/stats?filter=^${name}$`)).split(": ")[1] ?? 0);
      const attempts = "cluster_manager.cds.update_attempt";
      const connections = "cluster.xds.upstream_cx_total";
      const [connected, updates] = [
        await count(connections),
        await count("cluster_manager.cds.update_success"),
      ];
      // Tokens of earlier keys are good no more: only a token that was read anew lets the Envoy in again.
      await sleep(10_500);
      await door.changeKeys("two");
      await envoy.renewToken();
      const at = await count(connections);
      await until("another connection", async () => (await count(connections)) > at + 1);
      server.publish(
        envoyConfigOf({
          clusters: { a: backend.port },
          tables: { table: { "test.local": "a", "other.local": "a" } },
          listeners: { first: { port: listener, table: "table" } },
        }),
      );
      await until("the new route", async () => (await ask(listener, "other.local")) === "200 a");
      expect([...(await load.stop()).keys()]).to.deep.equal(["200 a"]);
      expect(await count(connections)).to.be.greaterThan(connected + 1);
      // No cluster was sent again, however often it came back.
      expect(await count("cluster_manager.cds.update_success"), attempts).to.equal(updates);
    } finally {
      await envoy.stop();
      await backend.stop();
    }
  });
});
