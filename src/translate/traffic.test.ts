import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, request } from "node:http";
import type { IncomingHttpHeaders, IncomingMessage, Server } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import type { Http2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import { findBinary } from "../lab/binaries/binaries.ts";
import { buildCase, parseCase } from "./case-file.ts";
import { thisHost } from "../../test/translate/run-case.ts";
import { staticBootstrap } from "../../test/translate/static-bootstrap.ts";
import { createTranslate } from "./translate.ts";

interface Echo {
  readonly name: string;
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
}
interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly echo: Echo | undefined;
}

/** Answers with what it was asked. */
async function startEcho(name: string): Promise<Server> {
  let others = 0;
  const server = createServer(({ method, url, headers }, response) => {
    if (url?.startsWith("/slow") === true) return;
    if (url?.startsWith("/every-other") === true && ++others % 2 === 1) response.writeHead(503);
    // A backend that claims the mark must not be believed.
    if (url?.startsWith("/wan/liar") === true) response.writeHead(503, { "x-mc-wan-unserved": "true" });
    response.end(JSON.stringify({ name, method, url, headers }));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port;

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: count }, () => startEcho("")));
  const ports = servers.map(portOf);
  for (const server of servers) server.close();
  return ports;
}

describe("traffic through a real Envoy", function () {
  this.timeout(60_000);
  let backends: Server[] = [];
  /** A peer's gateway that serves nothing: it says so (the mark) for paths with "marked". */
  let sulking: Http2Server | undefined;
  let envoy: ChildProcess | undefined;
  let folder = "";
  let web = 0;
  let high = 0;
  let low = 0;

  async function ask(
    path: string,
    options: { port?: number; method?: string; headers?: Record<string, string> } = {},
  ): Promise<Answer> {
    const { port = web, method = "GET", headers = {} } = options;
    const sent = request({
      host: "127.0.0.1",
      port,
      path,
      method,
      headers: { host: "shop.example.com", ...headers },
      agent: false,
    });
    sent.end();
    const [response] = (await once(sent, "response")) as [IncomingMessage];
    let body = "";
    for await (const chunk of response) body += String(chunk);
    const echo = body.startsWith("{") ? (JSON.parse(body) as Echo) : undefined;
    return { status: response.statusCode ?? 0, headers: response.headers, echo };
  }
  const nameOf = async (...args: Parameters<typeof ask>) => (await ask(...args)).echo?.name;

  before(async function () {
    const program = process.env["ENVOY_PATH"] ?? findBinary("envoy");
    if (program === undefined) return this.skip();
    backends = [await startEcho("one"), await startEcho("two")];
    const [webPort = 0, highPort = 0, lowPort = 0, dead = 0] = await freePorts(4);
    [web, high, low] = [webPort, highPort, lowPort];
    const [one = 0, two = 0] = backends.map(portOf);
    sulking = createHttp2Server((asked, response) => {
      response.writeHead(503, asked.url.includes("/marked") ? { "x-mc-wan-unserved": "true" } : {});
      response.end();
    });
    sulking.listen(0, "127.0.0.1");
    await once(sulking, "listening");
    const sulk = (sulking.address() as AddressInfo).port;
    const ports: Record<string, number> = {
      ONE: one,
      TWO: two,
      DEAD: dead,
      HIGH: high,
      LOW: low,
      SULK: sulk,
    };
    const text = readFileSync(new URL("traffic/case.yaml", import.meta.url), "utf8");
    const { world, desired } = buildCase(
      parseCase(
        text.replace(
          /\bport: (ONE|TWO|DEAD|HIGH|LOW|SULK)\b/g,
          (_, name: string) => `port: ${ports[name] ?? 0}`,
        ),
      ),
    );
    const { config } = createTranslate()(world, desired);
    const bound: Record<number, number> = { 8080: web, 31111: high, 31112: low };
    folder = mkdtempSync(join(tmpdir(), "mc-wan-traffic-"));
    const file = join(folder, "bootstrap.json");
    writeFileSync(
      file,
      staticBootstrap([...config.fleets.values()], {
        address: "127.0.0.1",
        portOf: (port) => bound[port] ?? 0,
      }).replaceAll(`"${thisHost}"`, '"127.0.0.1"'),
    );
    envoy = spawn(
      program,
      ["--config-path", file, "--use-dynamic-base-id", "--concurrency", "1", "--log-level", "error"],
      { stdio: "ignore" },
    );
    for (let tries = 0; ; tries++) {
      if (
        await ask("/p").then(
          (answer) => answer.status === 200,
          () => false,
        )
      )
        return;
      if (tries === 200) throw new Error("Envoy did not come up");
      await sleep(100);
    }
  });

  after(async () => {
    if (envoy?.exitCode === null) {
      const ended = once(envoy, "exit");
      envoy.kill("SIGKILL");
      await ended;
    }
    sulking?.close();
    for (const backend of backends) {
      backend.closeAllConnections();
      backend.close();
    }
    if (folder !== "") rmSync(folder, { recursive: true, force: true });
  });

  it("chooses the most specific match, whatever the order of the rules", async () => {
    expect(await nameOf("/p")).to.equal("one");
    expect(await nameOf("/p/deep/er")).to.equal("two");
    expect(await nameOf("/p/deep/exact")).to.equal("one");
    expect(await nameOf("/p/x", { headers: { "x-two": "yes" } })).to.equal("two");
    expect(await nameOf("/p", { method: "PUT" })).to.equal("two");
  });

  it("matches whole path elements, after normalising the path", async () => {
    expect((await ask("/pp")).status).to.equal(404);
    expect(await nameOf("/p/x/..//deep/%2e/")).to.equal("two");
    expect(await nameOf("/idle%2f..%2fp/deep")).to.equal("two");
  });

  it("answers 404 where nothing matches, and gRPC with UNIMPLEMENTED", async () => {
    expect((await ask("/nothing")).status).to.equal(404);
    const grpc = await ask("/nothing", { method: "POST", headers: { "content-type": "application/grpc" } });
    expect(grpc.headers["grpc-status"]).to.equal("12");
  });

  it("does not let a wider listener answer for a narrower one's hostname", async () => {
    expect((await ask("/p", { headers: { host: "narrow.example.com:1234" } })).status).to.equal(404);
  });

  it("rewrites host and path, and takes no format out of a header's value", async () => {
    const { echo } = await ask("/old/x?q=1");
    expect(echo?.url).to.equal("/new/x?q=1");
    expect(echo?.headers.host).to.equal("new.example.com");
    expect(echo?.headers["x-percent"]).to.equal("100%REQ(host)%");
    expect((await ask("/strip/x")).echo?.url).to.equal("/x");
    expect((await ask("/strip")).echo?.url).to.equal("/");
  });

  it("rewrites the path for each backendRef as it says, and shares requests out by their weights", async () => {
    const counts = new Map<string, number>();
    const requests = 600;
    for (let index = 0; index < requests; index++) {
      const { echo } = await ask("/fork/x");
      const words = `${echo?.name ?? ""} ${echo?.headers.host ?? ""} ${echo?.url ?? ""}`;
      counts.set(words, (counts.get(words) ?? 0) + 1);
    }
    expect([...counts.keys()].sort()).to.deep.equal([
      "one a.b /left/x",
      "two shop.example.com /fork/x",
      "two shop.example.com /right",
    ]);
    const share = (words: string): number => (counts.get(words) ?? 0) / requests;
    expect(share("one a.b /left/x")).to.be.closeTo(3 / 6, 0.1);
    expect(share("two shop.example.com /fork/x")).to.be.closeTo(2 / 6, 0.1);
    expect(share("two shop.example.com /right")).to.be.closeTo(1 / 6, 0.1);
  });

  it("redirects with the listener's port", async () => {
    const { status, headers } = await ask("/moved/x");
    expect([status, headers.location]).to.deep.equal([302, "http://other.example.com:8080/there/x"]);
  });

  it("answers 500 for a backend that is not there, for its share of the weight, and 503 for one without endpoints", async () => {
    expect((await ask("/broken")).status).to.equal(500);
    expect((await ask("/idle")).status).to.equal(503);
    const counts = { 200: 0, 500: 0 };
    for (let index = 0; index < 200; index++) counts[(await ask("/half")).status as 200 | 500]++;
    expect(counts[200] + counts[500]).to.equal(200);
    expect(counts[500]).to.be.within(60, 140);
  });

  it("splits by weight", async () => {
    let ones = 0;
    for (let index = 0; index < 200; index++) if ((await nameOf("/split")) === "one") ones++;
    expect(ones).to.be.within(120, 180);
  });

  it("strips what a client says of itself and keeps its request id", async () => {
    const { echo } = await ask("/p", {
      headers: {
        "x-envoy-retry-on": "5xx",
        "x-forwarded-for": "203.0.113.9",
        "x-mc-wan-port": "1",
        "x-mc-wan-unserved": "true",
        "x-mc-wan-ho": "1",
        "x-request-id": "mine",
        traceparent: "00-1-2-03",
      },
    });
    expect(echo?.headers).to.include({ "x-request-id": "mine", traceparent: "00-1-2-03" });
    expect(echo?.headers["x-forwarded-for"]).not.to.include("203.0.113.9");
    expect(Object.keys(echo?.headers ?? {}).filter((name) => /^x-(envoy|mc-wan)-/.test(name))).to.deep.equal([
      // Envoy's own word for what it saw; the next gateway strips it.
      "x-envoy-external-address",
    ]);
  });

  it("crosses the WAN once: the ingress marks the request, and a marked one is refused", async () => {
    const { status, echo } = await ask("/wan");
    expect([status, echo?.name, echo?.headers.host]).to.deep.equal([
      200,
      "one",
      "one.shop.svc.cluster.local",
    ]);
    expect(echo?.headers).to.include({ "x-mc-wan-hop": "1" });
    // Backends get the service's own name as Host; the client's is kept, once, over both gateways.
    expect(echo?.headers).to.include({ "x-forwarded-host": "shop.example.com" });
    const own = { host: "one.shop.svc.cluster.local" };
    expect((await ask("/p", { port: high, headers: own })).echo?.headers).to.include({
      "x-forwarded-host": own.host,
    });
    const liar = await ask("/wan", { headers: { "x-forwarded-host": "bank.example" } });
    expect(liar.echo?.headers).to.include({ "x-forwarded-host": "shop.example.com" });
    expect(echo?.headers).not.to.have.any.keys("x-mc-wan-arrival", "x-mc-wan-port");
    expect((await ask("/wan", { headers: { "x-mc-wan-hop": "1" } })).status).to.equal(508);
  });

  it("keeps a route of one policy port to that port", async () => {
    expect(await nameOf("/low", { port: high, headers: { host: "one.shop.svc.cluster.local" } })).to.equal(
      "one",
    );
    expect(await nameOf("/low", { port: low, headers: { host: "one.shop.svc.cluster.local" } })).to.equal(
      "two",
    );
    expect(
      await nameOf("/low", {
        port: high,
        headers: { host: "one.shop.svc.cluster.local", "x-mc-wan-arrival": String(31112) },
      }),
    ).to.equal("one");
    expect(await nameOf("/low")).to.equal("two");
  });

  it("answers nothing at the ingress for a name that no service has", async () => {
    expect((await ask("/p", { port: high, headers: { host: "kubernetes.default" } })).status).to.equal(404);
  });

  it("marks a reply at the ingress only if nothing reached a backend, and no client sees the mark", async () => {
    const unserved = await ask("/x", { port: high, headers: { host: "dead.shop.svc.cluster.local" } });
    expect([unserved.status, unserved.headers["x-mc-wan-unserved"]]).to.deep.equal([503, "true"]);
    expect((await ask("/nothing", { port: high, headers: { host: "x" } })).headers).not.to.have.property(
      "x-mc-wan-unserved",
    );
    const liar = await ask("/wan/liar", { port: high, headers: { host: "one.shop.svc.cluster.local" } });
    expect([liar.status, liar.headers["x-mc-wan-unserved"]]).to.deep.equal([503, undefined]);
    const client = await ask("/unserved", { method: "POST" });
    expect([client.status, client.headers["x-mc-wan-unserved"]]).to.deep.equal([503, undefined]);
  });

  it("tries another Pod of a local Service if one can't be reached, whatever the method", async () => {
    const statuses = new Set<number>();
    for (let index = 0; index < 20; index++)
      statuses.add((await ask("/pair", { method: index % 2 === 0 ? "POST" : "GET" })).status);
    expect([...statuses]).to.deep.equal([200]);
  });

  it("gives each try at a local Service the time that its route says", async () => {
    expect((await ask("/slow")).status).to.equal(504);
  });

  it("never repeats what a local Service answered, not even where another share goes over the WAN", async () => {
    const statuses = async (path: string): Promise<number[]> => {
      const seen: number[] = [];
      for (let index = 0; index < 4; index++) seen.push((await ask(path)).status);
      return seen;
    };
    expect(await statuses("/every-other")).to.deep.equal([503, 200, 503, 200]);
    expect(await statuses("/every-other/mixed")).to.deep.equal([503, 200, 503, 200]);
  });

  it("tries a request with any method again if nothing reached a backend, else only one that may be repeated", async () => {
    const statuses = async (path: string, method: string): Promise<Set<number>> => {
      const seen = new Set<number>();
      for (let index = 0; index < 20; index++) seen.add((await ask(path, { method })).status);
      return seen;
    };
    expect([...(await statuses("/retry/marked", "POST"))]).to.deep.equal([200]);
    expect([...(await statuses("/retry/plain", "GET"))]).to.deep.equal([200]);
    expect([...(await statuses("/retry/plain", "POST"))]).to.have.members([200, 503]);
  });

  it("prefers home's pods and goes to the peers while home has none that is ready", async () => {
    expect(await nameOf("/home-ready")).to.equal("two");
    expect(await nameOf("/home-empty")).to.equal("one");
  });
});
