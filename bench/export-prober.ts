/**
 * Runs inside of the lab, as a client in the consuming cluster: creates ServiceExports in another cluster one at a time,
 * takes the shadow Service's clusterIP as soon as it is there, and asks it, with a connection of its own each time, until
 * the first 200. Task on standard input, result on standard output, both JSON.
 */
import { Agent, get } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { kinds } from "../src/model/kinds.ts";
import { shadowName } from "../src/model/names.ts";
import { follow, insideClient, readTask } from "./inside-watch.ts";

export interface ExportTask {
  readonly kubeconfig: string;
  readonly exporter: string;
  readonly consumer: string;
  readonly namespace: string;
  readonly policy: string;
  readonly services: readonly string[];
  readonly pollMs: number;
  readonly timeoutMs: number;
  readonly pauseMs: number;
}

/** All times are milliseconds from before the request that creates the export. */
export interface ExportResult {
  readonly service: string;
  readonly createdMs: number;
  /** The exporter's advertisement was seen by a watch. */
  readonly advertisedMs?: number;
  /** The shadow Service was seen in the consuming cluster. */
  readonly shadowMs?: number;
  /** Its EndpointSlice was. */
  readonly sliceMs?: number;
  readonly firstOkMs?: number;
  /** Answers and failures before the first 200, counted. */
  readonly before: Readonly<Record<string, number>>;
}

async function probe(task: ExportTask): Promise<ExportResult[]> {
  const exporter = await insideClient(task.kubeconfig, task.exporter);
  const consumer = await insideClient(task.kubeconfig, task.consumer);
  const stop = new AbortController();
  const advertised = new Map<string, number>();
  const shadows = new Map<string, { readonly at: number; readonly address: string }>();
  const slices = new Map<string, number>();
  const watched = { namespace: task.namespace, signal: stop.signal };
  const first = (times: Map<string, number>, name: string): void => {
    if (!times.has(name)) times.set(name, performance.now());
  };
  const results: ExportResult[] = [];
  try {
    await follow(exporter, { kind: "ServiceAdvertisement", ...watched }, ({ metadata }) => {
      first(advertised, metadata.name);
    });
    await follow(consumer, { kind: "Service", ...watched }, ({ metadata, spec }) => {
      const { clusterIP } = spec as { clusterIP?: string };
      if (clusterIP !== undefined && !shadows.has(metadata.name))
        shadows.set(metadata.name, { at: performance.now(), address: clusterIP });
    });
    await follow(consumer, { kind: "EndpointSlice", ...watched }, ({ metadata, endpoints }) => {
      if (Array.isArray(endpoints) && endpoints.length > 0)
        first(slices, metadata.labels?.["kubernetes.io/service-name"] ?? "");
    });
    for (const service of task.services) {
      const start = performance.now();
      await exporter.create(kinds.ServiceExport, {
        apiVersion: kinds.ServiceExport.apiVersion,
        kind: "ServiceExport",
        metadata: {
          name: service,
          namespace: task.namespace,
          annotations: { "mc-wan.l7mp.io/wan-policy": task.policy },
        },
      });
      const createdMs = performance.now() - start;
      const shadow = shadowName(service);
      while (!shadows.has(shadow) && performance.now() - start < task.timeoutMs) await sleep(1);
      const address = shadows.get(shadow)?.address;
      const { okAt, before } =
        address === undefined
          ? { okAt: undefined, before: {} }
          : await untilOk(address, {
              ...task,
              hostname: `${shadow}.${task.namespace}.svc.cluster.local`,
              endAt: start + task.timeoutMs,
            });
      // Seen by a watch that may lag behind the answer.
      await sleep(task.pauseMs);
      const since = (at: number | undefined, name: string): object =>
        at === undefined ? {} : { [name]: at - start };
      results.push({
        service,
        createdMs,
        before,
        ...since(advertised.get(service), "advertisedMs"),
        ...since(shadows.get(shadow)?.at, "shadowMs"),
        ...since(slices.get(shadow), "sliceMs"),
        ...since(okAt, "firstOkMs"),
      });
    }
  } finally {
    stop.abort();
    await exporter.close();
    await consumer.close();
  }
  return results;
}

/** A SYN that nobody answers is given up before its first retransmission: the next attempt tells more. */
const attemptMs = 250;

/** A new request every so often, whatever became of the ones before: a lost SYN must not hold up the next. */
async function untilOk(
  address: string,
  { pollMs, endAt, hostname }: { readonly pollMs: number; readonly endAt: number; readonly hostname: string },
): Promise<{ okAt: number | undefined; before: Record<string, number> }> {
  const agent = new Agent({ keepAlive: false });
  const before: Record<string, number> = {};
  const found: { at: number | undefined } = { at: undefined };
  let underWay = 0;
  while (found.at === undefined && performance.now() < endAt) {
    if (underWay < 128) {
      underWay += 1;
      void ask({ address, hostname, agent }).then((answer) => {
        underWay -= 1;
        if (answer === "200") found.at ??= performance.now();
        else if (found.at === undefined) before[answer] = (before[answer] ?? 0) + 1;
      });
    }
    await sleep(pollMs);
  }
  agent.destroy();
  return { okAt: found.at, before };
}

/** By the address, so that no DNS server's memory counts, with the name that a client would have used. */
function ask({
  address,
  hostname,
  agent,
}: {
  readonly address: string;
  readonly hostname: string;
  readonly agent: Agent;
}): Promise<string> {
  const headers = { host: `${hostname}:8080` };
  return new Promise((resolve) => {
    const request = get(
      { host: address, port: 8080, path: "/", headers, agent, timeout: attemptMs },
      (response) => {
        response.resume();
        resolve(String(response.statusCode));
      },
    );
    request.on("timeout", () => request.destroy());
    request.on("error", (error: NodeJS.ErrnoException) => {
      resolve(error.code ?? "failed");
    });
  });
}

if (import.meta.main) process.stdout.write(JSON.stringify(await probe(await readTask<ExportTask>())));
