import { once } from "node:events";
import { request } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { connect, createServer } from "node:net";
import type { Server, Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import { envoyProgram, portOf, startCase, thisHost } from "../../test/translate/run-case.ts";
import type { RunningCase } from "../../test/translate/run-case.ts";
import type { PooledGateway, WanBackend } from "../model/desired.ts";
import type { KubeObject } from "../model/kube-object.ts";

const gatewayApi = "gateway.networking.k8s.io/v1";
const mebibyte = 1_048_576;
const large = 100 * mebibyte;

/** What a server does with a connection. */
type Behaviour = (socket: Socket) => void;

async function startServer(behaviour: Behaviour): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined);
    behaviour(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

/** Writes so many bytes, as fast as they are taken. */
async function send(socket: Socket, bytes: number): Promise<void> {
  const chunk = Buffer.alloc(mebibyte, "x");
  for (let sent = 0; sent < bytes; sent += chunk.length) {
    if (!socket.write(chunk)) await once(socket, "drain");
  }
}

/** All that comes until the other side's FIN; reads slowly if asked to. */
async function receive(socket: Socket, pauseMs = 0): Promise<{ bytes: number; text: string }> {
  let bytes = 0;
  let text = "";
  let pieces = 0;
  for await (const chunk of socket) {
    bytes += (chunk as Buffer).length;
    if (text.length < 100) text += String(chunk).slice(0, 100);
    if (pauseMs > 0 && pieces++ % 20 === 0) await sleep(pauseMs);
  }
  return { bytes, text };
}

/** A header of PROXY protocol 2 with one field. */
function preface(value: string | Buffer, type = 0xe7): Buffer {
  const field = Buffer.from(value);
  const head = Buffer.from([type, field.length >> 8, field.length & 0xff]);
  const body = Buffer.concat([Buffer.from([127, 0, 0, 1, 127, 0, 0, 1, 0, 1, 0, 2]), head, field]);
  const signature = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "binary");
  return Buffer.concat([signature, Buffer.from([0x21, 0x11, body.length >> 8, body.length & 0xff]), body]);
}

/** Behaviours of the TCP servers, by name. */
const echo: Behaviour = (socket) => {
  socket.pipe(socket);
};
const count: Behaviour = (socket) => {
  void receive(socket).then(({ bytes }) => socket.end(String(bytes)));
};

describe("TCP through real Envoys", function () {
  this.timeout(120_000);
  const servers: Server[] = [];
  /** The tunnels: what goes through each, by the policy's name. */
  const tunnels = { high: 0, low: 0 };
  let connections = 0;
  /** What each backend's side of a connection got after its own FIN. */
  let afterFin: Promise<{ bytes: number }> | undefined;
  let db: Behaviour = echo;
  let ingress: RunningCase | undefined;
  let egress: RunningCase | undefined;

  async function serve(behaviour: Behaviour): Promise<number> {
    const server = await startServer(behaviour);
    servers.push(server);
    return portOf(server);
  }

  /** A relay that counts connections: a tunnel. */
  const tunnel = (name: keyof typeof tunnels, port: () => number): Promise<number> =>
    serve((socket) => {
      tunnels[name]++;
      const onward = connect({ host: "127.0.0.1", port: port(), allowHalfOpen: true });
      onward.on("error", () => {
        socket.destroy();
      });
      socket.on("close", () => onward.destroy());
      onward.on("close", () => {
        socket.destroySoon();
      });
      socket.pipe(onward);
      onward.pipe(socket);
    });

  const meta = (name: string, more: object = {}): KubeObject["metadata"] => ({
    namespace: "shop",
    name,
    generation: 1,
    creationTimestamp: "2026-01-01T00:00:00Z",
    ...more,
  });
  const service = (name: string, ports: readonly object[]): object => ({
    apiVersion: "v1",
    kind: "Service",
    metadata: meta(name),
    spec: { ports },
  });
  const slice = (name: string, ports: readonly object[]): object => ({
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: meta(`${name}-1`, { labels: { "kubernetes.io/service-name": name } }),
    addressType: "IPv4",
    ports,
    endpoints: [{ addresses: [thisHost] }],
  });
  const gateway = (name: string, listeners: readonly object[]): object => ({
    apiVersion: gatewayApi,
    kind: "Gateway",
    metadata: meta(name),
    spec: { gatewayClassName: "mc-wan", listeners },
  });
  const route = (name: string, kind: string, spec: object): object => ({
    apiVersion: gatewayApi,
    kind,
    metadata: meta(name),
    spec,
  });

  async function startIngress(): Promise<RunningCase> {
    const dbPort = await serve((socket) => {
      connections++;
      db(socket);
    });
    const secret = await serve((socket) => {
      connections++;
      socket.end("secret");
    });
    const pool = (name: string, tcp: readonly number[]): PooledGateway => ({
      role: "Ingress",
      service: { namespace: "shop", name },
      hostnames: [`${name}.shop.svc.cluster.local`],
      ...(tcp.length > 0 && { tcp: { ports: tcp, hasAffinity: false } }),
      containerPorts: { high: 31_111, low: 31_112 },
    });
    const listeners = [
      { name: "high", port: 31_111, protocol: "HTTP" },
      { name: "low", port: 31_112, protocol: "HTTP" },
    ];
    const objects = [
      gateway("db", listeners),
      gateway("site", listeners),
      service("db", [
        { name: "sql", port: 5432 },
        { name: "http", port: 80 },
      ]),
      slice("db", [
        { name: "sql", port: dbPort },
        { name: "http", port: secret },
      ]),
      service("site", [{ name: "http", port: 80 }]),
      slice("site", [{ name: "http", port: secret }]),
      service("hidden", [{ name: "sql", port: 5432 }]),
      slice("hidden", [{ name: "sql", port: secret }]),
      route("site", "HTTPRoute", {
        parentRefs: [{ name: "site" }],
        hostnames: ["site.shop.svc.cluster.local"],
        rules: [{ backendRefs: [{ name: "site", port: 80 }] }],
      }),
    ] as unknown as KubeObject[];
    const gateways = [
      { gateway: "shop/db", fleet: "mc-wan-ingress", pooled: pool("db", [5432]) },
      { gateway: "shop/site", fleet: "mc-wan-ingress", pooled: pool("site", []) },
    ];
    return startCase({ objects, gateways }, [31_111, 31_112]);
  }

  async function startEgress(at: RunningCase): Promise<RunningCase> {
    const high = await tunnel("high", () => at.portOf(31_111));
    const low = await tunnel("low", () => at.portOf(31_112));
    const dead = await startServer(echo);
    const deadPort = portOf(dead);
    dead.close();
    const backend = (policy: string, ports: readonly number[]): WanBackend => ({
      service: { namespace: "shop", name: "db" },
      policy,
      tcpPorts: [5432, 5433],
      remote: ports.map((port, index) => ({
        cluster: `c${index}`,
        weight: 1,
        tcpPorts: [5432, 5433],
        endpoints: [{ address: "127.0.0.1", port }],
      })),
    });
    const listeners = ["plain", "shared", "failing", "closed", "missing", "crowded"].map((name, index) => ({
      name,
      port: 20_001 + index,
      protocol: "TCP",
    }));
    const to = (name: string, refs: readonly object[], ports: string): object => ({
      ...route(name, "TCPRoute", {
        parentRefs: [{ name: "egress", sectionName: name }],
        rules: [{ backendRefs: refs.map((ref) => ({ namespace: "mc-wan", port: 1, ...ref })) }],
      }),
      metadata: meta(name, {
        labels: { "app.kubernetes.io/managed-by": "mc-wan" },
        annotations: { "mc-wan.l7mp.io/service-ports": ports },
      }),
    });
    const objects = [
      gateway("egress", listeners),
      {
        apiVersion: "gateway.networking.k8s.io/v1beta1",
        kind: "ReferenceGrant",
        metadata: { ...meta("shop"), namespace: "mc-wan" },
        spec: {
          from: [{ group: "gateway.networking.k8s.io", kind: "TCPRoute", namespace: "shop" }],
          to: [{ group: "", kind: "Service" }],
        },
      },
      to("plain", [{ name: "high" }], "5432"),
      to(
        "shared",
        [
          { name: "high", weight: 3 },
          { name: "low", weight: 1 },
        ],
        "5432",
      ),
      to("failing", [{ name: "failing" }], "5432"),
      to("closed", [{ group: "mc-wan.l7mp.io", kind: "Unresolved", name: "db" }], "5432"),
      to("missing", [{ name: "high" }], "5433"),
      to("crowded", [{ name: "crowded" }], "5432"),
    ] as unknown as KubeObject[];
    const pooled: PooledGateway = {
      role: "Egress",
      service: { namespace: "shop", name: "db" },
      hostnames: ["db.shop.svc.clusterset.local"],
      containerPorts: Object.fromEntries(listeners.map(({ name, port }) => [name, port])),
    };
    const wanBackends = {
      high: backend("high", [high]),
      low: backend("low", [low]),
      failing: backend("high", [deadPort, high]),
      crowded: { ...backend("low", [low]), concurrentRequests: 2 },
    };
    const file = {
      objects,
      gateways: [{ gateway: "shop/egress", fleet: "mc-wan-egress", pooled }],
      wanBackends,
    };
    return startCase(
      file,
      listeners.map(({ port }) => port),
    );
  }

  before(async function () {
    if (envoyProgram() === undefined) return this.skip();
    ingress = await startIngress();
    egress = await startEgress(ingress);
    // Connections that only looked whether somebody listens have reached the backends by then.
    await sleep(500);
  });

  after(async () => {
    await egress?.stop();
    await ingress?.stop();
    for (const server of servers) server.close();
  });

  beforeEach(() => {
    db = echo;
    connections = 0;
    tunnels.high = 0;
    tunnels.low = 0;
  });

  /** A connection to a listener of the egress. */
  function dial(port = 20_001): Socket {
    const socket = connect({ host: "127.0.0.1", port: egress?.portOf(port) ?? 0, allowHalfOpen: true });
    socket.on("error", () => undefined);
    return socket;
  }

  /** Whether a byte that is sent there comes back. */
  async function echoed(port: number): Promise<boolean> {
    const socket = dial(port);
    socket.write("x");
    const answer = await Promise.race([
      once(socket, "data").then(([chunk]) => String(chunk)),
      once(socket, "close").then(() => ""),
      once(socket, "end").then(() => ""),
    ]);
    socket.destroy();
    return answer === "x";
  }

  /** What a connection to a policy's port gets that begins with these bytes. */
  async function knock(bytes: Buffer): Promise<string> {
    const socket = connect({ host: "127.0.0.1", port: ingress?.portOf(31_111) ?? 0, allowHalfOpen: true });
    socket.on("error", () => undefined);
    socket.write(bytes);
    // Gateways talk to each other for longer than it takes to read a header.
    setTimeout(() => socket.end(), 500).unref();
    const { text } = await receive(socket).catch(() => ({ text: "" }));
    return text;
  }

  it("goes through the policy's tunnel to the port's backend and back", async () => {
    const socket = dial();
    socket.write("hello");
    const [answer] = (await once(socket, "data")) as [Buffer];
    expect(answer.toString()).to.equal("hello");
    socket.destroy();
    expect({ connections, ...tunnels }).to.deep.equal({ connections: 1, high: 1, low: 0 });
  });

  it("passes the client's FIN on, once the way stands, while the server goes on talking", async () => {
    db = (socket) => {
      socket.write("ready");
      count(socket);
    };
    const socket = dial();
    await once(socket, "data");
    socket.end(Buffer.alloc(1000));
    expect((await receive(socket)).text).to.equal("1000");
  });

  it("passes the server's FIN on while the client goes on talking", async () => {
    db = (socket) => {
      socket.end("bye");
      afterFin = receive(socket);
    };
    const socket = dial();
    expect((await receive(socket)).text).to.equal("bye");
    socket.end("and one thing more");
    expect((await afterFin)?.bytes).to.equal(18);
  });

  it("carries 100 MiB up", async () => {
    db = count;
    const socket = dial();
    await send(socket, large);
    socket.end();
    expect((await receive(socket)).text).to.equal(String(large));
  });

  it("carries 100 MiB down and loses nothing when the server ends first and the client reads slowly", async () => {
    db = (socket) => {
      socket.resume();
      void send(socket, large).then(() => socket.end());
    };
    const [fast, slow] = await Promise.all([receive(dial()), receive(dial(), 1)]);
    expect([fast.bytes, slow.bytes]).to.deep.equal([large, large]);
  });

  it("shares connections out by weight, each policy through its own tunnel", async () => {
    for (let each = 0; each < 80; each++) expect(await echoed(20_002)).to.equal(true);
    expect(tunnels.high + tunnels.low).to.equal(80);
    expect(tunnels.low).to.be.within(6, 38);
  });

  it("tries another cluster's gateway when one takes no connection", async () => {
    let served = 0;
    for (let each = 0; each < 20; each++) if (await echoed(20_003)) served++;
    // One in eight of the first few draws the dead gateway three times; then it is left out.
    expect(served).to.be.at.least(16);
  });

  it("closes what leads nowhere, and what the far end does not export, without another tunnel", async () => {
    for (const port of [20_004, 20_005]) {
      const socket = dial(port);
      socket.write("hello");
      expect(await receive(socket).catch(() => ({ bytes: 0 }))).to.include({ bytes: 0 });
    }
    expect({ connections, low: tunnels.low }).to.deep.equal({ connections: 0, low: 0 });
  });

  it("closes what is more than so many connections at once, until one has ended", async () => {
    const open = [dial(20_006), dial(20_006)];
    for (const socket of open) {
      socket.write("x");
      await once(socket, "data");
    }
    const isLetIn = (): Promise<boolean> => echoed(20_006).catch(() => false);
    expect(await isLetIn()).to.equal(false);
    expect(connections).to.equal(2);
    open.pop()?.destroy();
    const deadline = performance.now() + 10_000;
    while (!(await isLetIn())) expect(performance.now()).to.be.below(deadline);
    for (const socket of open) socket.destroy();
  });

  it("lets nobody choose anything but exported TCP ports by the preface", async () => {
    expect(await knock(Buffer.concat([preface("shop/db/5432"), Buffer.from("hi")]))).to.equal("hi");
    expect(connections).to.equal(1);
    const others = [
      "shop/db/80",
      "shop/db/5433",
      "shop/db/05432",
      "shop/db/5432/",
      "shop/db/5432\0",
      "shop/hidden/5432",
      "shop/site/80",
      "SHOP/db/5432",
      "../service/shop/site/80",
      "/shop/db/5432",
      "%2e/shop/db/5432",
      "127.0.0.1:9901",
      "closed",
      " ",
      Buffer.from([0xff, 0xfe, 0x00]),
      Buffer.alloc(4096, "a"),
    ];
    for (const value of others) {
      const answer = await knock(
        Buffer.concat([preface(value), Buffer.from("GET / HTTP/1.1\r\nhost: x\r\n\r\n")]),
      );
      expect(answer, String(value).slice(0, 30)).to.equal("");
    }
    expect(connections).to.equal(1);
  });

  it("takes connections with another preface, or an empty one, for HTTP", async () => {
    const ask = Buffer.from("GET / HTTP/1.1\r\nhost: nobody.example.com\r\nconnection: close\r\n\r\n");
    for (const head of [preface("shop/db/5432", 0xe8), preface("")])
      expect(await knock(Buffer.concat([head, ask]))).to.match(/^HTTP\/1.1 404/);
    expect(connections).to.equal(0);
  });

  it("opens nothing to CONNECT, over HTTP/1.1 and HTTP/2", async () => {
    const authorities = [
      "db.shop.svc.cluster.local:5432",
      "site.shop.svc.cluster.local:80",
      "hidden.shop.svc.cluster.local:5432",
      "127.0.0.1:9901",
      "[::1]:9901",
      "169.254.169.254:80",
    ];
    const port = ingress?.portOf(31_111) ?? 0;
    const session = connectHttp2(`http://127.0.0.1:${port}`);
    session.on("error", () => undefined);
    for (const authority of authorities) {
      const asked = request({ host: "127.0.0.1", port, method: "CONNECT", path: authority });
      asked.on("error", () => undefined);
      asked.end();
      const status = await Promise.race([
        once(asked, "connect").then(([{ statusCode }]) => (statusCode as number | undefined) ?? 0),
        once(asked, "close").then(() => 0),
      ]);
      expect(status, authority).to.be.oneOf([0, 403, 404]);
      const stream = session.request({ ":method": "CONNECT", ":authority": authority });
      stream.on("error", () => undefined);
      const over2 = await Promise.race([
        once(stream, "response").then(([headers]) => (headers as { ":status": number })[":status"]),
        once(stream, "close").then(() => 0),
      ]);
      stream.close();
      expect(over2, authority).to.be.oneOf([0, 403, 404]);
    }
    session.destroy();
    expect(connections).to.equal(0);
  });

  it("answers no HTTP request for a service that has only TCP ports", async () => {
    const asked = request({
      host: "127.0.0.1",
      port: ingress?.portOf(31_111) ?? 0,
      headers: { host: "db.shop.svc.cluster.local", "x-mc-wan-port": "5432" },
      agent: false,
    });
    asked.end();
    const [{ statusCode }] = (await once(asked, "response")) as [{ statusCode: number }];
    expect(statusCode).to.equal(404);
    expect(connections).to.equal(0);
  });
});
