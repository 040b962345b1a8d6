import { spawn } from "node:child_process";
import type { ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { createInterface } from "node:readline";
import { expect } from "chai";
import { Command } from "commander";
import { createEchoServer } from "./echo-server.ts";
import type { EchoAnswer } from "./echo-server.ts";
import { runLoad } from "./probe-load.ts";
import type { Load } from "./probe-load.ts";
import { clusterOfNode } from "./echo.ts";
import { registerProbe } from "./probe.ts";
import { summaryText } from "./probe-summary.ts";

type Child = ChildProcessByStdio<null, Readable, Readable>;

const identity = { cluster: "c1", namespace: "secure", pod: "payment-0" };
const never = new AbortController().signal;

describe("mcwan echo and mcwan probe", () => {
  const echoServer = createEchoServer(identity);
  let base = "";

  before(async () => {
    echoServer.server.listen(0, "127.0.0.1");
    await once(echoServer.server, "listening");
    base = `http://127.0.0.1:${(echoServer.server.address() as AddressInfo).port}`;
  });
  after(() => {
    echoServer.server.closeAllConnections();
    echoServer.server.close();
  });

  const load = (path: string, changes: Partial<Load> = {}): Load => ({
    url: new URL(path, base),
    method: "GET",
    headers: {},
    bodyBytes: 0,
    count: 1,
    durationMs: 10_000,
    rate: Number.POSITIVE_INFINITY,
    concurrency: 1,
    keepAlive: false,
    timeoutMs: 5000,
    ...changes,
  });

  it("answers any path with who answers and what arrived", async () => {
    const response = await fetch(`${base}/a/b?x=1`, {
      method: "POST",
      body: "12345",
      headers: { "x-one": "1" },
    });
    expect(response.headers.get("x-served-by")).to.equal("c1/payment-0");
    const answer = (await response.json()) as EchoAnswer;
    expect(answer).to.include({ ...identity, method: "POST", path: "/a/b?x=1", receivedBytes: 5 });
    expect(answer.headers).to.include({ "x-one": "1" });
    expect(answer.host).to.equal(new URL(base).host);
  });

  it("gives the status, the delay and the number of bytes that were asked for", async () => {
    const begin = performance.now();
    const response = await fetch(`${base}/?status=503&delayMs=50&bytes=200001`);
    expect(response.status).to.equal(503);
    expect((await response.arrayBuffer()).byteLength).to.equal(200_001);
    expect(performance.now() - begin).to.be.at.least(49);
  });

  it("has no body where the status allows none", async () => {
    const response = await fetch(`${base}/?status=204`);
    expect([response.status, await response.text()]).to.deep.equal([204, ""]);
  });

  for (const query of [
    "bytes=-1",
    "bytes=67108865",
    "bytes=1e3",
    "delayMs=600001",
    "status=199",
    "status=600",
    "status=",
  ]) {
    it(`refuses ?${query}`, async () => {
      const response = await fetch(`${base}/?${query}`);
      expect(response.status).to.equal(400);
      expect(((await response.json()) as { error: string }).error).to.match(
        /must be a whole number from \d+ to \d+/,
      );
    });
  }

  it("takes the cluster's name from the node's in the lab and in kind", () => {
    const nodes = ["c1-node", "east-control-plane", "east-worker", "east-worker2", "ip-10-0-0-1"];
    expect(nodes.map(clusterOfNode)).to.deep.equal(["c1", "east", "east", "east", "ip-10-0-0-1"]);
  });

  it("counts statuses, servers, clusters and bytes", async () => {
    const summary = await runLoad(
      load("/?bytes=1000", { count: 20, concurrency: 4, keepAlive: true }),
      never,
    );
    expect(summary).to.deep.include({
      requests: 20,
      ok: 20,
      bytes: 20_000,
      statuses: { "200": 20 },
      servedBy: { "c1/payment-0": 20 },
      clusters: { c1: 20 },
      failures: {},
      late: 0,
    });
    expect(summary.latencyMs.p50).to.be.within(0.01, summary.latencyMs.p99);
    expect(summary.latencyMs.max).to.be.at.least(summary.latencyMs.p99);
  });

  it("sends a body, a Host and further headers", async () => {
    const summary = await runLoad(
      load("/", { method: "POST", bodyBytes: 300_000, headers: { host: "payment.secure" } }),
      never,
    );
    expect(summary.ok).to.equal(1);
    expect(summary.bytes).to.be.greaterThan(0);
  });

  it("keeps to the rate and to the duration", async () => {
    const summary = await runLoad(
      load("/", { rate: 100, durationMs: 300, count: Number.POSITIVE_INFINITY, concurrency: 4 }),
      never,
    );
    expect(summary.requests).to.be.within(25, 30);
    expect(summary.durationMs).to.be.within(250, 600);
  });

  it("tells failures by reason and when they happened", async () => {
    const denied = await runLoad(load("/?status=404", { count: 3 }), never);
    expect(denied.ok).to.equal(0);
    expect(denied.failures["status 404"]).to.include({ count: 3 });
    const slow = await runLoad(load("/?delayMs=5000", { timeoutMs: 50 }), never);
    expect(slow.failures["timeout"]?.offsetsMs).to.have.length(1);
    const closed = createServer().listen(0, "127.0.0.1");
    await once(closed, "listening");
    const { port } = closed.address() as AddressInfo;
    closed.close();
    const refused = await runLoad(load("/", { url: new URL(`http://127.0.0.1:${port}/`) }), never);
    expect(refused.failures).to.have.all.keys("ECONNREFUSED");
    expect(summaryText(refused)).to.include("ECONNREFUSED: 1, from ");
  });

  it("calls an answer that breaks off a failure", async () => {
    const broken = createServer((socket) => {
      socket.end("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345");
    }).listen(0, "127.0.0.1");
    try {
      await once(broken, "listening");
      const { port } = broken.address() as AddressInfo;
      const summary = await runLoad(load("/", { url: new URL(`http://127.0.0.1:${port}/`) }), never);
      expect(summary).to.deep.include({ ok: 0, bytes: 5 });
      expect(summary.failures).to.have.all.keys("ECONNRESET");
    } finally {
      broken.close();
    }
  });

  it("ends early when it is told to, and still says what it saw", async () => {
    const stop = new AbortController();
    const running = runLoad(load("/?delayMs=5000", { count: 100, concurrency: 2 }), stop.signal);
    setTimeout(() => {
      stop.abort();
    }, 50);
    const summary = await running;
    expect(summary.requests).to.equal(2);
    expect(summary.failures["stopped"]).to.include({ count: 2 });
  });

  for (const args of [
    ["nonsense"],
    ["https://x"],
    ["http://x", "--count", "0"],
    ["http://x", "--duration", "1d"],
    [],
  ]) {
    it(`refuses: probe ${args.join(" ")}`, async () => {
      const program = new Command().exitOverride().configureOutput({ writeErr: () => undefined });
      registerProbe(program);
      for (const command of program.commands)
        command.exitOverride().configureOutput({ writeErr: () => undefined });
      const error: unknown = await program.parseAsync(["probe", ...args], { from: "user" }).then(
        () => undefined,
        (cause: unknown) => cause,
      );
      expect(error).to.be.instanceOf(Error);
    });
  }

  describe("as processes", () => {
    const children = new Set<Child>();
    afterEach(() => {
      for (const child of children) child.kill("SIGKILL");
      children.clear();
    });
    const start = (...args: string[]): Child => {
      const script = `import { Command } from "commander"; import { registerEcho } from "./echo.ts"; import { registerProbe } from "./probe.ts";
        const program = new Command(); registerEcho(program); registerProbe(program); await program.parseAsync(${JSON.stringify(args)}, { from: "user" });`;
      const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", script], {
        cwd: join(import.meta.dirname),
        env: { ...process.env, CLUSTER: "c2", POD_NAME: "p" },
        stdio: ["ignore", "pipe", "pipe"],
      });
      children.add(child);
      return child;
    };

    it("stops being ready on SIGTERM, finishes what was begun and exits with 0", async function () {
      this.timeout(15_000);
      const child = start("echo", "--port", "0", "--address", "127.0.0.1", "--drain-ms", "300");
      const exited = once(child, "exit");
      const [line] = (await once(createInterface(child.stdout), "line")) as [string];
      const url = `http://${line.replace("listening on ", "")}`;
      expect((await fetch(`${url}/readyz`)).status).to.equal(200);
      const begun = fetch(`${url}/?delayMs=800`);
      await fetch(url);
      child.kill("SIGTERM");
      await expectEventually(async () => (await fetch(`${url}/readyz`)).status === 503);
      const late = await fetch(url);
      expect(late.headers.get("connection")).to.equal("close");
      expect(late.headers.get("x-served-by")).to.equal("c2/p");
      expect((await begun).status).to.equal(200);
      expect(await exited).to.deep.equal([0, null]);
    });

    it("ends an idle client at once", async function () {
      this.timeout(15_000);
      const child = start("probe", "--idle");
      const exited = once(child, "exit");
      await new Promise((resolve) => setTimeout(resolve, 800));
      expect(child.exitCode).to.equal(null);
      child.kill("SIGTERM");
      expect(await exited).to.deep.equal([0, null]);
    });
  });
});

async function expectEventually(holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 50; tries += 1) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  expect.fail("did not hold in time");
}
