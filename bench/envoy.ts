/**
 * `envoy`: what a real Envoy and the wire to it take for one route more, without Kubernetes: from the publication to the
 * acknowledgement, and to the first 200.
 *
 *     World → reconcile → translate → ADS server → gRPC on 127.0.0.1 → Envoy ← a request every 2 ms
 */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "undici";
import { createAdsServer } from "../src/drivers/grpc/create-ads-server.ts";
import { childrenOf } from "../src/lab/run-dir.ts";
import type { EnvoyConfig } from "../src/model/envoy-config.ts";
import type { Log } from "../src/model/log.ts";
import type { Metrics } from "../src/model/metrics.ts";
import type { World } from "../src/model/world.ts";
import { createReconcile } from "../src/reconcile/reconcile.ts";
import { freePort, startBackend, TestEnvoy, until } from "../test/serve/test-envoy.ts";
import { TestDoor } from "../test/serve/test-door.ts";
import { OnLoopback } from "../test/translate/on-loopback.ts";
import { thisHost } from "../test/translate/run-case.ts";
import { createTranslate } from "../src/translate/translate.ts";
import { distribution } from "./measurement.ts";
import type { BenchContext, Figure, Measurement } from "./measurement.ts";
import { fleet, hostOf, namespace, route, routesWorld, withHome } from "./worlds.ts";

const silent: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silent,
};
const rdsType = "RouteConfiguration";

/** What the Gateway's Envoys are served in a World. */
function createConfigure(): (world: World) => EnvoyConfig {
  const reconcile = createReconcile();
  const translate = createTranslate();
  const onLoopback = new OnLoopback();
  return (world) => {
    const { config } = translate(world, reconcile(world));
    const found = config.fleets.get(fleet);
    if (found === undefined) throw new Error(`there is no fleet ${fleet}`);
    return { fleets: new Map([[fleet, onLoopback.of(found)]]) };
  };
}

export async function envoy({ progress, signal, quick }: BenchContext): Promise<Measurement> {
  const figures: Figure[] = [];
  for (const size of quick ? [100] : [10, 100, 1000]) {
    signal.throwIfAborted();
    figures.push(...(await atSize(size, quick ? 5 : 40)));
    progress(`envoy: measured at ${size} routes`);
  }
  return {
    benchmark: "envoy",
    title: "one route more, from its publication to Envoy's acknowledgement and to the first 200",
    figures,
    notes: [
      "one Envoy with one worker, one table; without Kubernetes, reconcile and translate",
      "encoding and the wire to Envoy included; polled every 2 ms",
    ],
  };
}

async function atSize(size: number, count: number): Promise<Figure[]> {
  const stops: (() => Promise<unknown>)[] = [];
  try {
    const backend = await startBackend("backend");
    stops.push(backend.stop);
    const listenerPort = await freePort();
    let acknowledged = 0;
    const metrics: Metrics = {
      increment: (name, labels) => {
        if (name === "mcwan_xds_acks_total" && "type" in labels && String(labels.type).endsWith(rdsType))
          acknowledged = performance.now();
      },
      set: () => undefined,
      forget: () => undefined,
      observe: () => undefined,
    };
    const door = await TestDoor.create();
    const server = createAdsServer({
      log: silent,
      metrics,
      listen: "127.0.0.1:0",
      identifyPod: door.identifyPod,
      token: () => door.replicaToken("bench"),
      maxConnectionAgeMs: 1_800_000,
    });
    server.admit(door.admission(fleet));
    const { port } = await server.start();
    stops.push(() => server.stop());
    const configure = createConfigure();
    let world = routesWorld(size, { address: thisHost, port: backend.port, listenerPort });
    server.publish(configure(world));
    const others = new Set(childrenOf(process.pid));
    const running = await TestEnvoy.start(port, fleet, door);
    stops.push(() => running.stop());
    const pid = childrenOf(process.pid).find((child) => !others.has(child)) ?? 0;
    const client = new Client(`http://127.0.0.1:${listenerPort}`, { pipelining: 1 });
    stops.push(() => client.destroy());
    await until("the first routes", async () => (await ask(client, hostOf(0))) === 200);

    const toAck: number[] = [];
    const toOk: number[] = [];
    const envoyCpu: number[] = [];
    for (let index = size; index < size + count; index += 1) {
      const added = route(index, backend.port);
      const text = JSON.stringify(added).replace(`service-${index}`, `service-${index % size}`);
      world = withHome(world, JSON.parse(text) as typeof added);
      const config = configure(world);
      await sleep(100);
      const cpu = mainThreadMs(pid);
      const start = performance.now();
      server.publish(config);
      let okAt: number | undefined;
      while (okAt === undefined && performance.now() - start < 10_000) {
        const askedAt = performance.now();
        if ((await ask(client, hostOf(index))) === 200) okAt = performance.now();
        else await sleep(Math.max(0, 2 - (performance.now() - askedAt)));
      }
      if (okAt === undefined) throw new Error(`${namespace}/route-${index} was not served within 10 s`);
      await until("the acknowledgement", () => Promise.resolve(acknowledged > start));
      envoyCpu.push(mainThreadMs(pid) - cpu);
      toOk.push(okAt - start);
      toAck.push(acknowledged - start);
    }
    return [
      ...distribution(envoyCpu, "ms", { prefix: `${size} routes: CPU of Envoy's main thread ` }),
      ...distribution(toAck, "ms", { prefix: `${size} routes: acknowledged ` }),
      ...distribution(toOk, "ms", { prefix: `${size} routes: first 200 ` }),
    ];
  } finally {
    for (const stop of stops.reverse()) await stop();
  }
}

/** CPU time of a process's first thread, which takes in configuration; workers answer requests. */
function mainThreadMs(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, "utf8").split(" ")[0]) / 1e6;
}

async function ask(client: Client, host: string): Promise<number> {
  try {
    const { statusCode, body } = await client.request({
      path: "/",
      method: "GET",
      headers: { host },
      headersTimeout: 2000,
    });
    await body.dump();
    return statusCode;
  } catch {
    return 0;
  }
}
