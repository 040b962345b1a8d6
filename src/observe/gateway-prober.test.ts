import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo, Server } from "node:net";
import { expect } from "chai";
import { probeTcp } from "../drivers/net/tcp-probe.ts";
import { realTiming } from "../drivers/timing/real-timing.ts";
import { eventually } from "../../test/home-cluster.ts";
import { keptMetrics } from "../../test/quiet.ts";
import { GatewayProber } from "./gateway-prober.ts";

async function listen(host: string, port = 0): Promise<{ server: Server; port: number }> {
  const server = createServer((socket) => socket.destroy());
  server.listen(port, host);
  await once(server, "listening");
  return { server, port: (server.address() as AddressInfo).port };
}

describe("a GatewayProber", function () {
  this.timeout(60_000);
  let ended: (() => void)[] = [];
  afterEach(() => {
    for (const end of ended) end();
    ended = [];
  });

  it("tells who takes connections, who stopped to, and who does again, with real sockets", async () => {
    const steady = await listen("127.0.0.2");
    const other = await listen("127.0.0.3");
    ended.push(() => steady.server.close());
    const prober = new GatewayProber({
      timing: realTiming,
      metrics: keptMetrics(),
      probe: probeTcp,
      changed: () => undefined,
    });
    ended.push(() => {
      prober.stop();
    });
    prober.setTargets([
      { address: "127.0.0.2", port: steady.port },
      { address: "127.0.0.3", port: other.port },
    ]);
    const [good, bad] = [`127.0.0.2:${steady.port}`, `127.0.0.3:${other.port}`];
    await eventually(
      () => prober.answering,
      (all) => all.get(good) === true && all.get(bad) === true,
    );
    other.server.close();
    const silent = await eventually(
      () => prober.answering,
      (all) => all.get(bad) === false,
    );
    expect(silent.get(good)).to.equal(true);
    const again = await listen("127.0.0.3", other.port);
    ended.push(() => again.server.close());
    await eventually(
      () => prober.answering,
      (all) => all.get(bad) === true,
    );
    prober.setTargets([]);
    expect(prober.answering.size).to.equal(0);
  });

  it("begins at most twenty probes a second, none before the last of the same gateway has ended, and none for nobody", async () => {
    let nowMs = 0;
    const timers: { atMs: number; run: () => void }[] = [];
    const begun: { atMs: number; key: string }[] = [];
    const metrics = keptMetrics();
    const prober = new GatewayProber({
      metrics,
      timing: {
        now: () => nowMs,
        today: () => nowMs,
        random: () => 0.5,
        after: (delayMs, run) => {
          const timer = { atMs: nowMs + Math.max(0, delayMs), run };
          timers.push(timer);
          return () => {
            const index = timers.indexOf(timer);
            if (index !== -1) timers.splice(index, 1);
          };
        },
      },
      probe: ({ address }) => {
        begun.push({ atMs: nowMs, key: address });
        return Promise.resolve(true);
      },
      changed: () => undefined,
    });
    const pass = async (untilMs: number): Promise<void> => {
      for (;;) {
        const next = timers.toSorted((a, b) => a.atMs - b.atMs)[0];
        if (next === undefined || next.atMs > untilMs) break;
        timers.splice(timers.indexOf(next), 1);
        nowMs = next.atMs;
        next.run();
        await new Promise((resolve) => setImmediate(resolve));
      }
      nowMs = untilMs;
    };
    prober.setTargets(Array.from({ length: 100 }, (_, index) => ({ address: `10.0.0.${index}`, port: 1 })));
    await pass(20_000);
    for (let second = 0; second < 20; second++) {
      const inSecond = begun.filter(({ atMs }) => Math.floor(atMs / 1000) === second);
      expect(inSecond.length).to.be.at.most(20);
    }
    const counts = Map.groupBy(begun, ({ key }) => key);
    expect(counts.size).to.equal(100);
    for (const [key, all] of counts) expect(all.length, key).to.be.within(2, 3);
    expect(metrics.total("mcwan_gateway_probes_total", { outcome: "taken" })).to.equal(begun.length);
    prober.setTargets([]);
    expect(timers).to.deep.equal([]);
  });
});
