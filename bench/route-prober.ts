/**
 * Runs inside of the lab, as a client beside the Gateway: creates HTTPRoutes one at a time and asks for each one's host
 * every 2 ms over one kept-alive connection until well after the first 200. Every answer counts. Task on standard input,
 * result on standard output, both JSON.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "undici";
import { kinds } from "../src/model/kinds.ts";
import type { KubeObject } from "../src/model/kube-object.ts";
import { follow, insideClient, readTask } from "./inside-watch.ts";

export interface RouteTask {
  readonly kubeconfig: string;
  readonly context: string;
  readonly namespace: string;
  readonly gateway: string;
  readonly address: string;
  readonly port: number;
  /** One route after the other, each to the Service of that name. */
  readonly routes: readonly { readonly name: string; readonly host: string; readonly service: string }[];
  readonly pollMs: number;
  /** How long an answer is waited for. */
  readonly timeoutMs: number;
  /** How long the answers are watched after the first 200. */
  readonly afterMs: number;
}

/** All times are milliseconds from before the request that creates the route. */
export interface RouteResult {
  readonly name: string;
  readonly createdMs: number;
  /** When a watch of our own told of the route; undefined if it did not. */
  readonly seenMs?: number;
  /** When the request was sent that was the first to be answered with 200. */
  readonly askedMs?: number;
  readonly firstOkMs?: number;
  /** When a watch told of its status Accepted. */
  readonly acceptedMs?: number;
  /** Runs of equal answers, in order: `404 x12`. */
  readonly answers: readonly string[];
  /** Answers that were neither 404 before nor 200 after the change. */
  readonly wrong: number;
}

/** Creates the routes one after the other and watches the answers. They stay. */
export async function probeRoutes(task: RouteTask): Promise<RouteResult[]> {
  const api = await insideClient(task.kubeconfig, task.context);
  const gateway = new Client(`http://${task.address}:${task.port}`, { pipelining: 1 });
  const stop = new AbortController();
  const seen = new Map<string, number>();
  const accepted = new Map<string, number>();
  const results: RouteResult[] = [];
  try {
    await follow(
      api,
      { kind: "HTTPRoute", namespace: task.namespace, signal: stop.signal },
      ({ metadata, status }) => {
        if (!seen.has(metadata.name)) seen.set(metadata.name, performance.now());
        const { parents = [] } = (status ?? {}) as { parents?: unknown[] };
        if (parents.length > 0 && !accepted.has(metadata.name))
          accepted.set(metadata.name, performance.now());
      },
    );
    for (const route of task.routes) {
      const answers: { status: string; askedAt: number; at: number }[] = [];
      let isOver = false;
      const poll = async (): Promise<void> => {
        while (!isOver) {
          const askedAt = performance.now();
          const status = await ask(gateway, route.host);
          answers.push({ status, askedAt, at: performance.now() });
          await sleep(Math.max(0, task.pollMs - (performance.now() - askedAt)));
        }
      };
      const polling = poll();
      await sleep(50);
      const start = performance.now();
      await api.create(kinds.HTTPRoute, routeObject(task, route));
      const createdMs = performance.now() - start;
      const ok = (): (typeof answers)[number] | undefined => answers.find(({ status }) => status === "200");
      while (ok() === undefined && performance.now() - start < task.timeoutMs) await sleep(task.pollMs);
      const first = ok();
      await sleep(task.afterMs);
      isOver = true;
      await polling;
      const of = (times: ReadonlyMap<string, number>): number | undefined => {
        const at = times.get(route.name);
        return at === undefined ? undefined : at - start;
      };
      const [seenMs, acceptedMs] = [of(seen), of(accepted)];
      const okAt = answers.findIndex(({ status }) => status === "200");
      const isRight = ({ status }: { status: string }, index: number): boolean =>
        status === (okAt === -1 || index < okAt ? "404" : "200");
      results.push({
        name: route.name,
        createdMs,
        ...(seenMs === undefined ? {} : { seenMs }),
        ...(acceptedMs === undefined ? {} : { acceptedMs }),
        ...(first === undefined ? {} : { askedMs: first.askedAt - start, firstOkMs: first.at - start }),
        answers: runsOf(answers.map(({ status }) => status)),
        wrong: answers.filter((answer, index) => !isRight(answer, index)).length,
      });
    }
  } finally {
    stop.abort();
    await gateway.destroy();
    await api.close();
  }
  return results;
}

/** The status, or why there is none. */
async function ask(gateway: Client, host: string): Promise<string> {
  try {
    const { statusCode, body } = await gateway.request({
      path: "/",
      method: "GET",
      headers: { host },
      headersTimeout: 2_000,
    });
    await body.dump();
    return String(statusCode);
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : "failed";
  }
}

function runsOf(answers: readonly string[]): string[] {
  const runs: { answer: string; count: number }[] = [];
  for (const answer of answers) {
    const last = runs.at(-1);
    if (last?.answer === answer) last.count += 1;
    else runs.push({ answer, count: 1 });
  }
  return runs.map(({ answer, count }) => `${answer} x${count}`);
}

function routeObject(
  { namespace, gateway }: RouteTask,
  { name, host, service }: RouteTask["routes"][number],
): KubeObject {
  return {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "HTTPRoute",
    metadata: { name, namespace },
    spec: {
      parentRefs: [{ name: gateway }],
      hostnames: [host],
      rules: [{ backendRefs: [{ name: service, port: 8080 }] }],
    },
  };
}

if (import.meta.main) process.stdout.write(JSON.stringify(await probeRoutes(await readTask<RouteTask>())));
