import { expect } from "chai";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parse } from "yaml";
import { UsageError } from "../model/errors.ts";
import { kubectl, type Kubectl } from "./kubectl.ts";
import { endLab, openLab, startLab, type Lab } from "./lab.ts";
import type { LinkCounters } from "./counters.ts";
import { echoWords, probeWords, type ProbeResult } from "./wire/test-probe.ts";

const CRD = join(import.meta.dirname, "../../crds/wanpolicies.mc-wan.l7mp.io.yaml");
const PAYLOAD_BYTES = 1_000_000;

/** Sends PAYLOAD_BYTES to a port of the other cluster's client and prints what came back, or the error's code. */
const SENDER = `
const socket = require("node:net").connect({ host: process.argv[1], port: Number(process.argv[2]) });
let received = 0;
socket.on("data", (chunk) => (received += chunk.length));
socket.on("error", (error) => { console.log(error.code); process.exit(0); });
socket.on("end", () => console.log("received " + received));
socket.end(Buffer.alloc(${PAYLOAD_BYTES}));`;

/** Answers 1000 bytes to whoever has ended its sending, on every port it is given. */
const RECEIVER = `
for (const port of process.argv.slice(1)) {
  require("node:net").createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined).on("end", () => socket.end(Buffer.alloc(1000))).resume();
  }).listen(Number(port), () => console.log("listening"));
}`;

function wanPolicy(name: string, spec: { tunnel: string; port: number }): string {
  return JSON.stringify({
    apiVersion: "mc-wan.l7mp.io/v1alpha1",
    kind: "WANPolicy",
    metadata: { name },
    spec,
  });
}

/** Payload by `tunnel direction role`, of one port as one cluster sees it. */
function payload(links: readonly LinkCounters[], cluster: string, port: number): Record<string, number> {
  const of = links.filter((link) => link.cluster === cluster && link.port === port);
  return Object.fromEntries(
    of.map(({ tunnel, direction, role, payloadBytes }) => [`${tunnel} ${direction} ${role}`, payloadBytes]),
  );
}

/** The pids of processes whose command line names `text`. */
function processesNaming(text: string): string[] {
  return readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(text);
    } catch {
      return false;
    }
  });
}

async function eventually(check: () => Promise<boolean> | boolean, what: string): Promise<void> {
  const deadline = performance.now() + 15_000;
  while (!(await check())) {
    if (performance.now() > deadline) throw new Error(`not within 15 s: ${what}`);
    await sleep(50);
  }
}

describe("a lab of two clusters", function () {
  this.timeout(240_000);
  let runDir = "";
  let lab: Lab;
  let control: Kubectl;
  const receiver = new AbortController();

  const start = async (): Promise<Lab> =>
    await startLab({ runDir, clusters: ["c1", "c2"], nodes: false, detached: true });
  const apply = async (object: string): Promise<void> => {
    for (const { context } of lab.clusters)
      await control.run(context, ["apply", "--server-side", "--force-conflicts", "-f", "-"], object);
  };
  const send = async (port: number): Promise<string> => {
    const { client } = lab.cluster("c2").addresses;
    return (
      await lab.runAsClient("c1", [process.execPath, "-e", SENDER, client, String(port)])
    ).stdout.trim();
  };

  before(async () => {
    runDir = mkdtempSync(join(tmpdir(), "mcwan-lab-"));
    lab = await start();
    control = kubectl(lab.program("kubectl"), lab.kubeconfig);
    for (const { context } of lab.clusters) await control.run(context, ["apply", "--server-side", "-f", CRD]);
    for (const { context } of lab.clusters)
      await control.run(context, ["wait", "--for=condition=Established", "crd/wanpolicies.mc-wan.l7mp.io"]);
    const ports = ["31111", "31112", "31113"];
    lab
      .runAsClient("c2", [process.execPath, "-e", RECEIVER, ...ports], { signal: receiver.signal })
      .catch(() => undefined);
    await eventually(async () => {
      const { stdout } = await lab.runAsClient("c2", ["cat", "/proc/net/tcp6"]);
      return ports.every((port) => stdout.includes(`:${Number(port).toString(16).toUpperCase()} `));
    }, "the receiver listens");
  });

  after(async () => {
    receiver.abort();
    await endLab(runDir);
    rmSync(runDir, { recursive: true, force: true });
  });

  it("is reached by verified TLS, and each cluster knows its own id", async () => {
    const ids = lab.clusters.map(
      async ({ context }) =>
        await control.run(context, [
          "get",
          "clusterproperty",
          "cluster.clusterset.k8s.io",
          "-o",
          "jsonpath={.spec.value}",
        ]),
    );
    expect(await Promise.all(ids)).to.deep.equal(["c1", "c2"]);
    const text = readFileSync(lab.kubeconfig, "utf8");
    expect(text).to.contain("certificate-authority-data").and.not.to.contain("insecure");
    const users = (parse(text) as { users: { name: string }[] }).users.map(({ name }) => name);
    expect(new Set(users).size).to.equal(2);
  });

  it("lets clients find Services by name and peers' API servers by address", async () => {
    const authority = join(runDir, "c1", "ca.crt");
    const { stdout } = await lab.runAsClient("c1", [
      "curl",
      "-sS",
      "--cacert",
      authority,
      "https://kubernetes.default.svc.cluster.local/livez",
    ]);
    expect(stdout).to.equal("ok");
    const { insideServer } = lab.cluster("c2");
    const peer = await lab.runAsClient("c1", [
      "curl",
      "-sS",
      "--cacert",
      join(runDir, "c2", "ca.crt"),
      `${insideServer}/livez`,
    ]);
    expect(peer.stdout).to.equal("ok");
  });

  it("answers for imported Services in the cluster set's domain", async () => {
    const serviceImport = {
      apiVersion: "multicluster.x-k8s.io/v1alpha1",
      kind: "ServiceImport",
      metadata: { name: "payment", namespace: "default" },
      spec: { type: "ClusterSetIP", ips: ["198.19.0.77"], ports: [{ port: 80, protocol: "TCP" }] },
    };
    // Without an endpoint that is ready the name is not there.
    const slice = {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: {
        name: "payment-c2",
        namespace: "default",
        labels: {
          "multicluster.kubernetes.io/service-name": "payment",
          "multicluster.kubernetes.io/source-cluster": "c2",
          "endpointslice.kubernetes.io/managed-by": "lab.test",
        },
      },
      addressType: "IPv4",
      ports: [{ port: 80, protocol: "TCP" }],
      endpoints: [{ addresses: ["198.18.2.200"], conditions: { ready: true } }],
    };
    await apply(JSON.stringify(serviceImport));
    await apply(JSON.stringify(slice));
    await eventually(async () => {
      const { stdout } = await lab.runAsClient("c1", [
        "getent",
        "hosts",
        "payment.default.svc.clusterset.local",
      ]);
      return stdout.startsWith("198.19.0.77 ");
    }, "the imported Service has its name");
  });

  it("rejects and counts a port that no policy names", async () => {
    expect(await send(31113)).to.equal("EHOSTUNREACH");
    const { links, refused } = await lab.counters();
    expect(payload(links, "c1", 31113)).to.deep.equal({});
    expect(refused.find(({ cluster, port }) => cluster === "c1" && port === 31113)?.packets).to.be.at.least(
      1,
    );
  });

  it("sends each policy's port through its own tunnel and counts its payload to the byte", async () => {
    await apply(wanPolicy("sd-wan-priority-high", { tunnel: "business", port: 31111 }));
    await apply(wanPolicy("sd-wan-priority-low", { tunnel: "default", port: 31112 }));
    await eventually(async () => (await lab.ports()).length === 2, "the ports are open");
    expect([await send(31111), await send(31112)]).to.deep.equal(["received 1000", "received 1000"]);
    const before = (await lab.counters()).links;
    expect(await send(31111)).to.equal("received 1000");
    const after = (await lab.counters()).links;
    const grown = (cluster: string, key: string): number =>
      (payload(after, cluster, 31111)[key] ?? 0) - (payload(before, cluster, 31111)[key] ?? 0);
    expect(grown("c1", "business out request")).to.be.within(PAYLOAD_BYTES, PAYLOAD_BYTES * 1.05);
    expect(grown("c2", "business in request")).to.be.within(PAYLOAD_BYTES, PAYLOAD_BYTES * 1.05);
    expect(grown("c2", "business out reply")).to.be.within(1000, 2000);
    expect(grown("c1", "business in reply")).to.be.within(1000, 2000);
    expect(Object.keys(payload(after, "c1", 31111))).to.have.members([
      "business out request",
      "business in reply",
    ]);
    expect(Object.keys(payload(after, "c1", 31112))).to.have.members([
      "default out request",
      "default in reply",
    ]);
  });

  it("follows a policy into another tunnel", async () => {
    await apply(wanPolicy("sd-wan-priority-high", { tunnel: "default", port: 31111 }));
    await eventually(async () => {
      expect(await send(31111)).to.equal("received 1000");
      return "default out request" in payload((await lab.counters()).links, "c1", 31111);
    }, "the port is in the other tunnel");
    const before = payload((await lab.counters()).links, "c1", 31111);
    await send(31111);
    const after = payload((await lab.counters()).links, "c1", 31111);
    expect(after["business out request"]).to.equal(before["business out request"]);
    expect(after["default out request"]).to.be.greaterThan(before["default out request"] ?? 0);
  });

  it("has noise on idle links, which no policy's counters show", async () => {
    await eventually(
      async () => (await lab.counters()).interfaces.every(({ receivedBytes }) => receivedBytes > 0),
      "noise",
    );
  });

  describe("has links that", () => {
    const ECHO_PORT = 9000;
    const business = { link: "business" };
    let echo: AbortController;

    /** The shortest round trip between the ends of a tunnel's link, in ms; Infinity: nothing comes back. */
    const roundTrip = async (): Promise<number> => {
      const words = probeWords({ host: "198.19.240.2", port: ECHO_PORT, count: 30, gapMs: 10 });
      const { code, stdout, stderr } = await lab.runInCluster("c1", words);
      if (code !== 0) throw new Error(stderr);
      return Math.min(Infinity, ...(JSON.parse(stdout) as ProbeResult).rttMs);
    };
    const reachesApiServer = async (client: string, server: string): Promise<boolean> => {
      const words = ["curl", "-sS", "-m", "2", "--cacert", join(runDir, server, "ca.crt")];
      const { insideServer } = lab.cluster(server);
      return (await lab.runAsClient(client, [...words, `${insideServer}/livez`])).stdout === "ok";
    };

    before(async () => {
      echo = new AbortController();
      lab.runInCluster("c2", echoWords(ECHO_PORT), { signal: echo.signal }).catch(() => undefined);
      await eventually(async () => (await roundTrip()) < Infinity, "datagrams are answered");
    });

    after(() => {
      echo.abort();
    });

    afterEach(async () => {
      await lab.changeLinks({}, { reset: true });
    });

    it("have a delay as soon as it is said, and none when it is taken back", async () => {
      const { wire, directions } = await lab.links();
      expect(wire.state).to.equal("off");
      expect(directions.filter(({ appliedBy }) => Object.keys(appliedBy).length > 0)).to.deep.equal([]);
      const meant = await lab.changeLinks(business, { quality: { delayMs: 30 } });
      expect(meant.map(({ from, notApplied }) => [from, notApplied])).to.deep.equal([
        ["c1", []],
        ["c2", []],
      ]);
      expect(await roundTrip()).to.be.within(60, 75);
      await lab.changeLinks({ ...business, from: "c1" }, { quality: { delayMs: 0 } });
      expect(await roundTrip()).to.be.within(30, 45);
      await lab.changeLinks(business, { reset: true });
      expect(await roundTrip()).to.be.below(15);
    });

    it("count payload to the byte while packets are late", async () => {
      await lab.changeLinks({ link: "default" }, { quality: { delayMs: 10 } });
      const before = payload((await lab.counters()).links, "c2", 31112);
      expect(await send(31112)).to.equal("received 1000");
      const after = payload((await lab.counters()).links, "c2", 31112);
      const grown = (key: string): number => (after[key] ?? 0) - (before[key] ?? 0);
      expect(grown("default in request")).to.be.within(PAYLOAD_BYTES, PAYLOAD_BYTES * 1.05);
      expect(grown("default out reply")).to.be.within(1000, 2000);
      expect(Object.keys(after)).to.have.members(["default in request", "default out reply"]);
    });

    it("are cut in one direction, and healed", async () => {
      const before = payload((await lab.counters()).links, "c1", 31112);
      await lab.changeLinks({ link: "default", from: "c2" }, { cut: true });
      // The request gets there, the answer doesn't: no connection, but no refusal either.
      const sending = send(31112);
      expect(await Promise.race([sending, sleep(1_500, "nothing")])).to.equal("nothing");
      expect(await roundTrip()).to.be.below(Infinity);
      await lab.changeLinks({ link: "default" }, { cut: false });
      expect(await sending).to.equal("received 1000");
      const after = payload((await lab.counters()).links, "c1", 31112);
      expect(after["default in reply"]).to.be.greaterThan(before["default in reply"] ?? 0);
    });

    it("lead to peers' API servers apart from the tunnels, and can be cut too", async () => {
      expect(await reachesApiServer("c1", "c2")).to.equal(true);
      await lab.changeLinks({ link: "control-plane", from: "c1", to: "c2" }, { cut: true });
      expect(await reachesApiServer("c1", "c2")).to.equal(false);
      expect(await send(31112)).to.equal("received 1000");
      const { context } = lab.clusters[1]!;
      expect(await control.run(context, ["get", "--raw", "/livez"])).to.equal("ok");
      await lab.changeLinks({ link: "control-plane" }, { cut: false });
      expect(await reachesApiServer("c1", "c2")).to.equal(true);
    });

    it("outlive their wire, and say meanwhile that it is gone", async function () {
      await lab.changeLinks(business, { quality: { delayMs: 20 } });
      const { wire, directions } = await lab.links();
      // A kernel with netem needs no wire.
      if (directions[0]?.appliedBy.delay === "netem") this.skip();
      if (wire.state !== "running") throw new Error(`the wire is ${wire.state}`);
      await lab.runInCluster("c1", ["sh", "-c", `kill -9 ${wire.pid}`]);
      await eventually(async () => (await lab.links()).wire.state === "restarting", "it is seen");
      await eventually(async () => (await lab.links()).wire.state === "running", "it is there again");
      expect((await lab.links()).wire).to.deep.include({ restarts: 1 });
      expect(await roundTrip()).to.be.within(40, 55);
    });

    it("are changed by the command line too, which tells what they are then", async () => {
      const mcwan = async (...words: string[]): Promise<{ code: number; stdout: string }> => {
        const main = join(import.meta.dirname, "../cli/main.ts");
        const child = spawn(process.execPath, [main, "lab", ...words], {
          env: { ...process.env, MCWAN_RUN: runDir },
          stdio: ["ignore", "pipe", "ignore"],
        });
        let stdout = "";
        child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
        const [code] = (await once(child, "close")) as [number];
        return { code, stdout };
      };
      const set = await mcwan("link", "set", "business", "rate=50,loss=2", "--from", "c1", "-o", "json");
      expect(set.code).to.equal(0);
      expect(JSON.parse(set.stdout)).to.have.length(1);
      expect((JSON.parse(set.stdout) as unknown[])[0]).to.deep.include({
        link: "business",
        from: "c1",
        to: "c2",
        quality: { rateMbit: 50, lossPercent: 2 },
        cut: false,
        notApplied: [],
      });
      expect((await mcwan("link", "cut", "business")).stdout).to.match(/business +c2 +c1 +cut/);
      expect((await mcwan("status")).stdout).to.match(
        /changed +business c1 → c2: cut, rate 50 Mbit\/s, loss 2 %/,
      );
      expect((await mcwan("link", "heal")).code).to.equal(0);
      expect((await mcwan("link", "cut", "mpls")).code).to.equal(2);
    });

    it("are not changed when there is no such link", async () => {
      const failure = await lab.changeLinks({ link: "mpls" }, { cut: true }).then(
        () => undefined,
        (error: unknown) => error,
      );
      expect(failure).to.be.instanceOf(UsageError);
    });
  });

  it("is one per run folder", async () => {
    const failure = await start().then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(failure).to.be.instanceOf(UsageError);
    expect((failure as UsageError).message).to.match(/^a lab is already up in .* `mcwan lab down` ends it/);
  });

  it("says in one line that a port is taken, and leaves nothing", async () => {
    const taken = createServer();
    await new Promise<void>((done) => taken.listen(0, "127.0.0.1", done));
    const other = mkdtempSync(join(tmpdir(), "mcwan-lab-other-"));
    try {
      const { port } = taken.address() as { port: number };
      const failure = await startLab({ runDir: other, clusters: ["c1"], portBase: port }).then(
        () => undefined,
        (error: unknown) => error,
      );
      expect((failure as UsageError).message).to.contain(`port 127.0.0.1:${port} is taken`);
    } finally {
      taken.close();
      rmSync(other, { recursive: true, force: true });
    }
  });

  describe("at its end", () => {
    it("leaves no process when its first one is killed, and comes up again", async () => {
      expect(processesNaming(runDir)).not.to.deep.equal([]);
      process.kill(lab.state.process.pid, "SIGKILL");
      await eventually(() => processesNaming(runDir).length === 0, "every process is gone");
      expect(await openLab(runDir)).to.equal(undefined);
      lab = await startLab({
        runDir,
        clusters: ["c1", "c2"],
        nodes: false,
        detached: true,
        tunnels: [{ name: "business", delayMs: 20 }, { name: "default" }],
      });
      const late = (await lab.links()).directions.filter(({ quality }) => quality.delayMs === 20);
      expect(late.map(({ link, appliedBy }) => [link, appliedBy.delay === undefined])).to.deep.equal([
        ["business", false],
        ["business", false],
      ]);
      expect(await control.run(lab.clusters[1]!.context, ["get", "ns", "default", "-o", "name"])).to.equal(
        "namespace/default\n",
      );
      await lab.stop();
      expect(processesNaming(runDir)).to.deep.equal([]);
      expect(existsSync(runDir)).to.equal(false);
    });
  });
});
