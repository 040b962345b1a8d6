/**
 * No request fails, or is answered by what stood neither before nor after, while backends, rules, weights, policies and whole
 * routes change: from the object to a real Envoy, without Kubernetes (e2e/scenarios/changes.ts has it with).
 */
import { once } from "node:events";
import { Agent } from "node:http";
import { createServer } from "node:http2";
import type { Http2Server } from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import type { KubeObject } from "../../src/model/kube-object.ts";
import { ask, freePort, startBackend, startLoad, TestEnvoy, until } from "../serve/test-envoy.ts";
import type { Started } from "../serve/test-envoy.ts";
import { portOf } from "../translate/run-case.ts";
import { cluster, fleet, route, service, servicePort, slices } from "./objects.ts";
import type { Policy } from "./objects.ts";
import { ServedWorld } from "./served-world.ts";

const host = "changing.test";
const rounds = 5;
const addedRoutes = 1_000;
const ratePerSecond = 200;

const local = (name: string, weight = 1): object => ({ name, port: servicePort, weight });
const overWan = (policy: Policy, weight = 1): object => ({
  name: `payment-secure-${policy}`,
  namespace: "mc-wan",
  weight,
});
const to = (...backendRefs: object[]): object => ({ backendRefs });
const gold = { headers: [{ name: "x-tenant", value: "gold" }] };
const slash = { path: { type: "Exact", value: "/" } };
const marked = {
  type: "RequestHeaderModifier",
  requestHeaderModifier: { set: [{ name: "x-a", value: "b" }] },
};

/** The ingress gateway of a peer, as far as an egress sees it. */
async function startPeer(name: string): Promise<Http2Server> {
  const server = createServer((_request, response) => response.end(name));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

async function closed(server: Http2Server): Promise<void> {
  const end = once(server, "close");
  server.close();
  await end;
}

describe("while things change, a Gateway", function () {
  this.timeout(300_000);
  const started: Started[] = [];
  const ports = { a: 0, b: 0, listener: 0 };
  let world: ServedWorld;
  let envoy: TestEnvoy;

  before(async () => {
    const backends = [await startBackend("a"), await startBackend("b")] as const;
    started.push(...backends);
    const [high, low] = [await startPeer("high"), await startPeer("low")];
    // The Envoy ends before them, and their connections with it.
    for (const peer of [high, low])
      started.push({
        stop: async () => {
          await closed(peer);
        },
      });
    Object.assign(ports, { a: backends[0].port, b: backends[1].port, listener: await freePort() });
    const peerPorts = { high: portOf(high), low: portOf(low) };
    const services = (["a", "b"] as const).flatMap((name) => [service(name), ...slices(name, ports[name])]);
    const added = Array.from({ length: addedRoutes }, (_, index) => `s${index}`);
    world = await ServedWorld.start(
      cluster(ports.listener, peerPorts, [
        ...services,
        ...added.flatMap((name) => [service(name), ...slices(name, ports.a)]),
      ]),
    );
    started.push(world);
    envoy = await TestEnvoy.start(world.port, fleet, world.door);
    started.push(envoy);
    await until("a 404", async () => (await ask(ports.listener, host)).startsWith("404"));
  });

  after(async () => {
    for (const each of started.reverse()) await each.stop();
  });

  /** What changes, and an answer that was not given before. Ten in a round; the name of the route alternates. */
  const changesOf = (round: number): readonly { change: () => void; shows: string }[] => {
    const name = `changing-${round % 2}`;
    const next = `changing-${(round + 1) % 2}`;
    const routed = (...rules: object[]): KubeObject => route(name, host, ...rules);
    const apply = (...objects: KubeObject[]) => {
      return () => {
        world.apply(...objects);
      };
    };
    return [
      { change: apply(routed(to(local("b")))), shows: "b" },
      { change: apply(routed(to(local("a", 9), local("b", 1)))), shows: "a" },
      { change: apply(routed(to(overWan("high")))), shows: "high" },
      { change: apply(routed(to(overWan("low")))), shows: "low" },
      { change: apply(routed(to(local("a"), overWan("high"), overWan("low", 0)))), shows: "a" },
      { change: apply(routed({ matches: [gold], ...to(local("a")) }, to(local("b")))), shows: "b" },
      { change: apply(routed({ matches: [slash], filters: [marked], ...to(local("a")) })), shows: "a" },
      // The Service's Pods are others now.
      { change: apply(...slices("a", ports.b)), shows: "b" },
      { change: apply(...slices("a", ports.a)), shows: "a" },
      {
        // The same match in a route of another name; then the old route goes.
        change: () => {
          world.apply(route(next, host, to(local("b"))));
          world.drop(routed());
          world.apply(route(next, host, to(overWan("low"))));
        },
        shows: "low",
      },
    ];
  };

  it(`answers ${ratePerSecond} requests a second over ${rounds * 10} swaps, and none of them fails`, async () => {
    world.apply(route("changing-0", host, to(local("a"))));
    await until("the first answer", async () => (await ask(ports.listener, host)) === "200 a");
    const load = startLoad(host, () => ports.listener);
    const startedMs = performance.now();
    let swaps = 0;
    for (let round = 0; round < rounds; round += 1) {
      for (const { change, shows } of changesOf(round)) {
        change();
        swaps += 1;
        // In every other round changes come while Envoy is still busy with those before.
        if (round % 2 === 0)
          await until(shows, async () => (await ask(ports.listener, host)) === `200 ${shows}`);
        await sleep(round % 2 === 0 ? 50 : 20);
      }
    }
    await until("the last swap", async () => (await ask(ports.listener, host)) === "200 low");
    const seconds = (performance.now() - startedMs) / 1_000;
    const answers = await load.stop();
    const requests = [...answers.values()].reduce((sum, count) => sum + count, 0);
    const told = JSON.stringify(Object.fromEntries(answers));
    process.stderr.write(
      `      ${swaps} swaps in ${seconds.toFixed(1)} s: ${requests} requests, ${Math.round(requests / seconds)} a second: ${told}\n`,
    );
    expect([...answers.keys()].sort()).to.deep.equal(["200 a", "200 b", "200 high", "200 low"]);
    expect(swaps).to.equal(50);
    expect(requests / seconds).to.be.at.least(ratePerSecond);
    expect(world.refusals).to.deep.equal([]);
  });

  it(`leads each of ${addedRoutes} routes, added one by one, from 404 to 200 with nothing between`, async () => {
    const agent = new Agent({ keepAlive: true });
    const wrong: string[] = [];
    const times: number[] = [];
    /** Asks from before the route is there until well after its first 200. */
    const watch = async (index: number, publish: () => void): Promise<void> => {
      const seen: string[] = [];
      let publishedMs: number | undefined;
      for (let good = 0; good < 5;) {
        const answer = (await ask(ports.listener, `h${index}.test`, agent)).slice(0, 3);
        seen.push(answer);
        if (publishedMs === undefined) {
          publishedMs = performance.now();
          publish();
        } else if (performance.now() - publishedMs > 30_000) break;
        if (answer !== "200") continue;
        good += 1;
        if (good === 1) times.push(performance.now() - publishedMs);
      }
      if (!/^(404 )+(200 )+$/.test(`${seen.join(" ")} `)) wrong.push(`h${index}: ${seen.join(" ")}`);
    };
    const startedMs = performance.now();
    for (let index = 0; index < addedRoutes; index += 1) {
      const added = route(`r${index}`, `h${index}.test`, to(local(`s${index}`)));
      await watch(index, () => {
        world.apply(added);
      });
    }
    const seconds = (performance.now() - startedMs) / 1_000;
    times.sort((one, other) => one - other);
    const at = (share: number): string => (times[Math.floor((times.length - 1) * share)] ?? 0).toFixed(0);
    process.stderr.write(
      `      ${times.length} routes in ${seconds.toFixed(1)} s: first 200 after ${at(0.5)} ms (p50), ${at(0.99)} ms (p99), ${at(1)} ms at most; ${wrong.length} wrong\n`,
    );
    const last: string[] = [];
    for (let index = 0; index < addedRoutes; index += 1)
      last.push(await ask(ports.listener, `h${index}.test`, agent));
    agent.destroy();
    expect(wrong).to.deep.equal([]);
    expect(new Set(last)).to.deep.equal(new Set(["200 a"]));
    expect(times.length).to.equal(addedRoutes);
    expect(world.refusals).to.deep.equal([]);
  });
});
