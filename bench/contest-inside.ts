/**
 * The comparison, inside of its private network: one API server, and the contenders in turns, each with all routes of its
 * own. Task on standard input, legs on standard output, both JSON; what happens on standard error.
 *
 *     API server ← controller (one at a time) → Envoy ← prober, load
 */
import { setTimeout as sleep } from "node:timers/promises";
import { join } from "node:path";
import { runLoad } from "../src/cli/commands/probe-load.ts";
import { kinds } from "../src/model/kinds.ts";
import type { KubeObject } from "../src/model/kube-object.ts";
import { ask } from "../test/serve/test-envoy.ts";
import { startHomeCluster } from "../test/home-cluster.ts";
import { createAll, deleteAll, until } from "./cluster.ts";
import type { Memory } from "./cluster.ts";
import { logOf } from "./contender.ts";
import type { Arena, Contender, EnvoyStart } from "./contender.ts";
import { envoyGateway } from "./contender-envoy-gateway.ts";
import { mcWan } from "./contender-mc-wan.ts";
import {
  backend,
  gateway,
  gatewayObject,
  listenerPort,
  namespace,
  routeObject,
  serviceObjects,
} from "./contest-objects.ts";
import { readTask } from "./inside-watch.ts";
import { Program } from "./program.ts";
import { probeRoutes } from "./route-prober.ts";
import type { RouteResult } from "./route-prober.ts";

/** What is to be measured. */
export interface ContestTask {
  readonly folder: string;
  readonly envoy: string;
  readonly envoyGateway: string;
  /** Routes that stand while others are added. */
  readonly routes: number;
  /** Routes that are added and measured in each leg; every second one leads to a Service that no route has named. */
  readonly probes: number;
  /** Changes of one route under load in each leg. */
  readonly swaps: number;
  /** Each is a leg of both; who begins alternates. */
  readonly rounds: number;
  readonly quick: boolean;
}

/** One contender's turn. */
export interface Leg {
  readonly contender: string;
  readonly results: readonly RouteResult[];
  /** From the creation of the first route to the last of all hosts that answers 200. */
  readonly allServedMs: number;
  readonly controller: Memory;
  readonly envoy: Memory;
  /** CPU time for each measured route, all threads. */
  readonly controllerCpuMs: number;
  readonly envoyCpuMs: number;
  /** What the Envoy received from its controller for each measured route. */
  readonly xdsBytes: number;
  /** A route as the API server gives it, and Envoy's table as JSON for each of its routes. */
  readonly routeBytes: number;
  readonly tableBytes: number;
  readonly clusters: number;
  readonly swaps: { readonly requests: number; readonly failures: Readonly<Record<string, number>> };
}

const warmServices = 10;
const warm = (index: number): string => `warm-${index % warmServices}`;
const hostOf = (name: string): string => `${name}.bench.test`;
const ratePerSecond = 200;
const betweenSwapsMs = 300;

class Turn {
  readonly #arena: Arena;
  readonly #task: ContestTask;
  readonly #contender: Contender;
  readonly #programs: Program[] = [];

  constructor(arena: Arena, task: ContestTask, contender: Contender) {
    [this.#arena, this.#task, this.#contender] = [arena, task, contender];
  }

  /** Everything of the leg; nothing of it stands afterwards. */
  async run(): Promise<Leg> {
    const { home, progress } = this.#arena;
    const { routes } = this.#task;
    const many = Array.from({ length: routes }, (_, index) =>
      routeObject(`route-${index}`, hostOf(`route-${index}`), warm(index)),
    );
    try {
      const controller = this.#contender.start(this.#arena);
      this.#programs.push(controller);
      await createAll(home, [gatewayObject(this.#contender.gatewayClass), ...many.slice(0, 1)], 1);
      const { start, envoy } = await this.#startEnvoy(controller);
      await this.#answers(["route-0"]);
      progress(`${this.#contender.name}: the first route is served`);
      const began = performance.now();
      await createAll(home, many.slice(1));
      await this.#answers(many.map(({ metadata }) => metadata.name));
      const allServedMs = performance.now() - began;
      progress(`${this.#contender.name}: ${routes} routes are served after ${Math.round(allServedMs)} ms`);
      await this.#rest(controller);
      const cpu = [controller.cpuMs(), envoy.cpuMs()] as const;
      const bytes = await received(start);
      const results = await this.#probe();
      progress(`${this.#contender.name}: ${results.length} routes are measured`);
      await this.#rest(controller);
      const perRoute = (total: number): number => total / results.length;
      const measured = {
        contender: this.#contender.name,
        results,
        allServedMs,
        controllerCpuMs: perRoute(controller.cpuMs() - cpu[0]),
        envoyCpuMs: perRoute(envoy.cpuMs() - cpu[1]),
        xdsBytes: perRoute((await received(start)) - bytes),
        controller: controller.memory(),
        envoy: envoy.memory(),
        ...(await this.#sizes(start, routes + results.length)),
      };
      const swaps = await this.#swap();
      progress(`${this.#contender.name}: the swaps are done`);
      return { ...measured, swaps };
    } finally {
      await this.#end();
    }
  }

  async #startEnvoy(controller: Program): Promise<{ start: EnvoyStart; envoy: Program }> {
    const { envoyProgram, signal } = this.#arena;
    const start = await until("the Deployment of the Gateway", { timeoutMs: 60_000, signal }, async () => {
      const found = await this.#contender.envoyOf(this.#arena);
      if (found === undefined) controller.mustRun();
      return found;
    });
    const own = ["--concurrency", "1", "--disable-hot-restart"];
    const envoy = new Program([envoyProgram, ...withoutPinning(start.args), ...own], {
      name: "Envoy",
      log: logOf(this.#arena, "envoy"),
    });
    this.#programs.push(envoy);
    return { start, envoy };
  }

  /** Fulfils when all hosts answer 200. */
  async #answers(names: readonly string[]): Promise<void> {
    const waiting = [...names];
    const { signal } = this.#arena;
    await until(`200 from ${names.length} hosts`, { timeoutMs: 180_000, signal }, async () => {
      for (const program of this.#programs) program.mustRun();
      while (waiting.length > 0) {
        const answer = await ask(listenerPort, hostOf(waiting.at(-1) ?? ""));
        if (!answer.startsWith("200")) return undefined;
        waiting.pop();
      }
      return true;
    });
  }

  /** Waits until the controller has done what is left to do, statuses too: two seconds with less than a tenth of a CPU. */
  async #rest(controller: Program): Promise<void> {
    for (let tries = 0; tries < 60; tries += 1) {
      const before = controller.cpuMs();
      await sleep(2_000, undefined, { signal: this.#arena.signal });
      if (controller.cpuMs() - before < 200) return;
    }
  }

  async #probe(): Promise<RouteResult[]> {
    const { api } = this.#arena.home;
    return await probeRoutes({
      kubeconfig: api.kubeconfigFile,
      context: api.context,
      namespace,
      gateway,
      address: "127.0.0.1",
      port: listenerPort,
      pollMs: 2,
      timeoutMs: 30_000,
      afterMs: 100,
      routes: Array.from({ length: this.#task.probes }, (_, index) => ({
        name: `probe-${index}`,
        host: hostOf(`probe-${index}`),
        service: index % 2 === 0 ? `cold-${index / 2}` : warm(index),
      })),
    });
  }

  async #sizes(
    { admin }: EnvoyStart,
    routes: number,
  ): Promise<{ routeBytes: number; tableBytes: number; clusters: number }> {
    const route = await this.#arena.home.client.get(kinds.HTTPRoute, { namespace, name: "route-0" });
    const table = await page(admin, "/config_dump?resource=dynamic_route_configs");
    const clusters = /^cluster_manager\.active_clusters: (\d+)/m.exec(await page(admin, "/stats"))?.[1];
    return {
      routeBytes: JSON.stringify(route).length,
      tableBytes: Math.round(table.length / routes),
      clusters: Number(clusters),
    };
  }

  /** One route goes from one Service to the next, which no route has named before, under load. */
  async #swap(): Promise<Leg["swaps"]> {
    const { home, signal } = this.#arena;
    const { swaps } = this.#task;
    const swapped = (index: number) => routeObject("swapped", hostOf("swapped"), `swap-${index}`);
    await createAll(home, [swapped(0)]);
    await this.#answers(["swapped"]);
    const load = runLoad(
      {
        url: new URL(`http://127.0.0.1:${listenerPort}/`),
        method: "GET",
        headers: { host: hostOf("swapped") },
        bodyBytes: 0,
        count: Infinity,
        durationMs: (swaps + 4) * betweenSwapsMs,
        rate: ratePerSecond,
        concurrency: 32,
        keepAlive: true,
        timeoutMs: 10_000,
      },
      signal,
    );
    const began = performance.now();
    for (let index = 1; index <= swaps; index += 1) {
      await sleep(Math.max(0, began + index * betweenSwapsMs - performance.now()), undefined, { signal });
      await home.client.apply(kinds.HTTPRoute, swapped(index));
    }
    const { requests, failures } = await load;
    const counts = Object.entries(failures).map(([reason, { count }]) => [reason, count] as const);
    return { requests, failures: Object.fromEntries(counts) };
  }

  async #end(): Promise<void> {
    const { home, signal } = this.#arena;
    const { items } = await home.client.list(kinds.HTTPRoute, {
      namespace,
      signal: AbortSignal.timeout(60_000),
    });
    await deleteAll(home, [...(items as readonly KubeObject[]), gatewayObject(this.#contender.gatewayClass)]);
    // The controller takes its Deployment away.
    await until("the end of the Deployment", { timeoutMs: 60_000, signal }, async () =>
      (await this.#contender.envoyOf(this.#arena)) === undefined ? true : undefined,
    ).catch(() => undefined);
    for (const program of this.#programs.reverse()) await program.stop();
  }
}

/** Pinning to processors is for a node of its own. */
function withoutPinning(args: readonly string[]): string[] {
  const isAsked = (word: string): boolean => word === "--cpuset-threads" || word.startsWith("--concurrency");
  return args.filter((word, index) => !isAsked(word) && args[index - 1] !== "--concurrency");
}

async function page(admin: string, path: string): Promise<string> {
  return await (await fetch(`http://${admin}${path}`)).text();
}

/** Bytes that the Envoy has received from its controller. */
async function received({ admin, xdsCluster }: EnvoyStart): Promise<number> {
  const name = `cluster.${xdsCluster}.upstream_cx_rx_bytes_total`;
  return Number((await page(admin, `/stats?filter=^${name}$`)).split(": ")[1]);
}

async function contest(task: ContestTask): Promise<Leg[]> {
  const progress = (line: string): void => {
    process.stderr.write(`${line}\n`);
  };
  const signal = new AbortController().signal;
  const home = await startHomeCluster();
  const echo = [join(import.meta.dirname, "../src/cli/main.ts"), "echo", "--address", backend.address];
  const backendProgram = new Program([process.execPath, ...echo, "--port", String(backend.port)], {
    name: "the backend",
    log: join(task.folder, "backend.log"),
  });
  try {
    const arena: Arena = {
      home,
      progress,
      signal,
      quick: task.quick,
      folder: task.folder,
      envoyProgram: task.envoy,
      namespace,
      gateway,
    };
    const contenders = [mcWan, envoyGateway(task.envoyGateway)];
    await createAll(home, [{ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } }]);
    const services = [
      ...Array.from({ length: warmServices }, (_, index) => warm(index)),
      ...Array.from({ length: Math.ceil(task.probes / 2) }, (_, index) => `cold-${index}`),
      ...Array.from({ length: task.swaps + 1 }, (_, index) => `swap-${index}`),
    ];
    await createAll(home, services.flatMap(serviceObjects));
    for (const contender of contenders) await contender.install(arena);
    const legs: Leg[] = [];
    for (let round = 0; round < task.rounds; round += 1)
      for (const contender of round % 2 === 0 ? contenders : contenders.toReversed())
        legs.push(await new Turn(arena, task, contender).run());
    return legs;
  } finally {
    await backendProgram.stop();
    await home.stop();
  }
}

if (import.meta.main) {
  process.stdout.write(JSON.stringify(await contest(await readTask<ContestTask>())));
  process.exit(0);
}
