/**
 * Runs inside of the lab, as a client in a cluster: asks a service steadily, lets one of its Pods leave, and looks until when
 * that Pod is asked. A Pod that leaves is unready at once and goes on answering for three seconds, so whoever still asks it is
 * seen. Task on standard input, result on standard output, both JSON.
 */
import { Agent, get } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { kinds } from "../src/model/kinds.ts";
import type { KubeObject } from "../src/model/kube-object.ts";
import { insideClient, readTask } from "./inside-watch.ts";

export interface UnreadyTask {
  readonly kubeconfig: string;
  /** Where the Pods are. */
  readonly context: string;
  readonly namespace: string;
  readonly labels: string;
  readonly replicas: number;
  readonly url: string;
  readonly host: string;
  readonly ratePerSecond: number;
  readonly rounds: number;
}

export interface UnreadyResult {
  /** From the answer to the Pod's deletion to the beginning of the last request that it got; 0: none. */
  readonly lastAskedMs: number;
  /** Requests of the round that were not answered with 200: by status, 0 for none at all. */
  readonly failed: Readonly<Record<string, number>>;
  /** Whether the Pod was asked before it left. */
  readonly wasAsked: boolean;
  readonly requests: number;
}

/** More than what the echo server goes on answering for. */
const watchedMs = 4_000;

interface Asked {
  readonly atMs: number;
  readonly status: number;
  readonly by: string;
}

async function probe(task: UnreadyTask): Promise<UnreadyResult[]> {
  const client = await insideClient(task.kubeconfig, task.context);
  const agent = new Agent({ keepAlive: true });
  const readyPods = async (): Promise<KubeObject[]> => {
    const { namespace, labels } = task;
    const { items } = await client.list(kinds.Pod, {
      namespace,
      labels,
      signal: AbortSignal.timeout(10_000),
    });
    return (items as KubeObject[]).filter(({ metadata, status }) => {
      const { conditions = [] } = (status ?? {}) as { conditions?: { type: string; status: string }[] };
      const isReady = conditions.some((one) => one.type === "Ready" && one.status === "True");
      return isReady && metadata.deletionTimestamp === undefined;
    });
  };
  const results: UnreadyResult[] = [];
  for (let round = 0; round < task.rounds; round++) {
    let pods = await readyPods();
    while (pods.length !== task.replicas) {
      await sleep(200);
      pods = await readyPods();
    }
    // The new Pod is taken up everywhere.
    await sleep(1_500);
    const [pod] = pods;
    if (pod === undefined) continue;
    const asked: Asked[] = [];
    const pending = new Set<Promise<void>>();
    const timer = setInterval(() => {
      const one = ask(task, agent).then((answer) => {
        asked.push(answer);
        pending.delete(one);
      });
      pending.add(one);
    }, 1_000 / task.ratePerSecond);
    await sleep(500);
    await client.delete(kinds.Pod, pod.metadata, { uid: pod.metadata.uid ?? "" });
    const goneMs = performance.now();
    await sleep(watchedMs);
    clearInterval(timer);
    await Promise.all(pending);
    const late = asked.filter(({ atMs, by }) => atMs > goneMs && by.endsWith(`/${pod.metadata.name}`));
    results.push({
      lastAskedMs: Math.max(0, ...late.map(({ atMs }) => atMs - goneMs)),
      failed: counted(asked.filter(({ status }) => status !== 200)),
      wasAsked: asked.some(({ by }) => by.endsWith(`/${pod.metadata.name}`)),
      requests: asked.length,
    });
  }
  agent.destroy();
  await client.close();
  return results;
}

function counted(asked: readonly Asked[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { status } of asked) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

/** One request. Never rejects. */
function ask({ url, host }: UnreadyTask, agent: Agent): Promise<Asked> {
  const atMs = performance.now();
  return new Promise((resolve) => {
    const request = get(url, { agent, headers: { host }, timeout: 5_000 }, (response) => {
      response.resume();
      response.on("end", () => {
        const by = response.headers["x-served-by"];
        resolve({ atMs, status: response.statusCode ?? 0, by: typeof by === "string" ? by : "" });
      });
    });
    request.on("timeout", () => request.destroy());
    request.on("error", () => {
      resolve({ atMs, status: 0, by: "" });
    });
  });
}

if (import.meta.main) process.stdout.write(JSON.stringify(await probe(await readTask<UnreadyTask>())));
