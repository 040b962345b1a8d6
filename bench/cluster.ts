/**
 * Clusters for benchmarks: a lab of their own with mc-wan in it, and direct access to its API servers: kubectl takes
 * longer to start than most of what is measured.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Agent, request } from "undici";
import { homeAccess } from "../src/drivers/kube/kubeconfig.ts";
import { KubeClient } from "../src/drivers/kube/kube-client.ts";
import { installMcWan, waitForMcWan } from "../src/lab/install.ts";
import { kubectl } from "../src/lab/kubectl.ts";
import { startLab } from "../src/lab/lab.ts";
import type { Lab } from "../src/lab/lab.ts";
import { childrenOf } from "../src/lab/run-dir.ts";
import { kinds } from "../src/model/kinds.ts";
import type { KindName } from "../src/model/kinds.ts";
import type { KubeObject } from "../src/model/kube-object.ts";
import { systemNamespace } from "../src/model/names.ts";
import { kindOf } from "./kind-of.ts";
import type { BenchContext } from "./measurement.ts";

/** One cluster, from the host. */
export interface BenchCluster {
  readonly id: string;
  readonly client: KubeClient;
  /** A GET of any path, as text. */
  readonly text: (path: string) => Promise<string>;
}

/** A lab with mc-wan in it. */
export interface BenchLab {
  readonly lab: Lab;
  readonly clusters: readonly BenchCluster[];
  readonly close: () => Promise<void>;
}

const readyTimeoutMs = 180_000;

/** Starts a lab of these clusters and installs mc-wan. What was started is ended if that fails. */
export async function openLab(ids: readonly string[], { progress, signal }: BenchContext): Promise<BenchLab> {
  const runDir = await mkdtemp(join(tmpdir(), "mc-wan-bench-"));
  const closers: (() => Promise<void>)[] = [
    async () => {
      await rm(runDir, { recursive: true, force: true });
    },
  ];
  const close = async (): Promise<void> => {
    for (const each of closers.splice(0).reverse()) await each();
  };
  try {
    const lab = await startLab({ runDir, clusters: [...ids], onProgress: progress, signal });
    closers.push(async () => {
      await lab.stop();
    });
    const program = kubectl(lab.program("kubectl"), lab.kubeconfig);
    const targets = lab.clusters.map(({ id, context }) => ({ id, context }));
    await installMcWan(program, targets, { manifests: join(import.meta.dirname, "../deploy"), progress });
    await waitForMcWan(program, targets, readyTimeoutMs);
    const clusters = await Promise.all(
      targets.map(async (target) => await openCluster(lab, target, closers)),
    );
    return { lab, clusters, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function openCluster(
  lab: Lab,
  target: { readonly id: string; readonly context: string },
  closers: (() => Promise<void>)[],
): Promise<BenchCluster> {
  const access = await homeAccess({ kubeconfig: lab.kubeconfig, context: target.context });
  const client = new KubeClient(access);
  const agent = new Agent({ connect: access.tls, allowH2: false });
  closers.push(async () => {
    await client.close();
    await agent.destroy();
  });
  const text = async (path: string): Promise<string> => {
    const authorization = await access.authorization();
    const headers = authorization === undefined ? {} : { authorization };
    const { statusCode, body } = await request(new URL(path, access.server), { dispatcher: agent, headers });
    const answer = await body.text();
    if (statusCode >= 300) throw new Error(`GET ${path} of ${target.id}: ${statusCode}`);
    return answer;
  };
  return { id: target.id, client, text };
}

/** Creates objects, so many at once. */
export async function createAll(
  cluster: Pick<BenchCluster, "client">,
  objects: readonly KubeObject[],
  atOnce = 16,
): Promise<void> {
  await eachOf(objects, atOnce, async (object) => {
    await cluster.client.create(kinds[kindOf(object)], object);
  });
}

/** Deletes objects, so many at once. */
export async function deleteAll(
  cluster: Pick<BenchCluster, "client">,
  objects: readonly KubeObject[],
  atOnce = 16,
): Promise<void> {
  await eachOf(objects, atOnce, async (object) => {
    const kind = kinds[kindOf(object)];
    const { uid } = (await cluster.client.get(kind, object.metadata))?.metadata ?? {};
    if (uid !== undefined) await cluster.client.delete(kind, object.metadata, { uid });
  });
}

async function eachOf(
  objects: readonly KubeObject[],
  atOnce: number,
  act: (object: KubeObject) => Promise<void>,
): Promise<void> {
  const waiting = [...objects];
  const worker = async (): Promise<void> => {
    for (let object = waiting.shift(); object !== undefined; object = waiting.shift()) await act(object);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

/** All objects of a kind that a selector finds. */
export async function listAll(
  cluster: BenchCluster,
  kind: KindName,
  selection: { readonly namespace?: string; readonly labels?: string } = {},
): Promise<readonly KubeObject[]> {
  const { items } = await cluster.client.list(kinds[kind], {
    ...selection,
    signal: AbortSignal.timeout(30_000),
  });
  return items as readonly KubeObject[];
}

/** Asks until there is an answer; fails with what was waited for. */
export async function until<T>(
  what: string,
  limits: { readonly timeoutMs: number; readonly signal: AbortSignal },
  ask: () => Promise<T | undefined>,
): Promise<T> {
  const endMs = performance.now() + limits.timeoutMs;
  for (;;) {
    const value = await ask().catch(() => undefined);
    if (value !== undefined) return value;
    if (performance.now() > endMs) throw new Error(`${what} did not happen within ${limits.timeoutMs} ms`);
    await sleep(100, undefined, { signal: limits.signal });
  }
}

/** A Deployment of `mcwan echo` and what it needs beside it, ready for Services to select `app: echo`. */
export function echoObjects(namespace: string): KubeObject[] {
  const labels = { app: "echo" };
  const container = {
    name: "echo",
    image: "ghcr.io/l7mp/mc-wan:0.1.0",
    args: ["echo", "--port", "8080"],
    // Who answers: the cluster's name is its node's.
    env: [
      { name: "NODE_NAME", valueFrom: { fieldRef: { fieldPath: "spec.nodeName" } } },
      { name: "POD_NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
    ],
    ports: [{ name: "http", containerPort: 8080 }],
    readinessProbe: { httpGet: { path: "/readyz", port: "http" }, periodSeconds: 1, failureThreshold: 1 },
  };
  return [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "echo", namespace },
      spec: {
        replicas: 1,
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: { automountServiceAccountToken: false, containers: [container] },
        },
      },
    },
  ];
}

/** A Service of the echo Pods. */
export function echoService(namespace: string, name: string): KubeObject {
  const ports = [{ name: "http", port: 8080, targetPort: "http" }];
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace },
    spec: { selector: { app: "echo" }, ports },
  };
}

/** Waits until every one of these Services has a ready endpoint. */
export async function haveEndpoints(
  cluster: BenchCluster,
  { namespace, services }: { readonly namespace: string; readonly services: readonly string[] },
  signal: AbortSignal,
): Promise<void> {
  await until("endpoints of the Services", { timeoutMs: 120_000, signal }, async () => {
    const slices = await listAll(cluster, "EndpointSlice", { namespace });
    const ready = new Set(
      slices
        .filter((slice) =>
          ((slice["endpoints"] ?? []) as { conditions?: { ready?: boolean } }[]).some(
            ({ conditions }) => conditions?.ready === true,
          ),
        )
        .map(({ metadata }) => metadata.labels?.["kubernetes.io/service-name"]),
    );
    return services.every((service) => ready.has(service)) ? true : undefined;
  });
}

/** Samples of a page in the Prometheus text format: `name{labels}` → value. */
export type Samples = ReadonlyMap<string, number>;

export function parseSamples(text: string): Samples {
  const samples = new Map<string, number>();
  for (const line of text.split("\n")) {
    const [, series = "", value = ""] = /^([^#\s{]+(?:\{.*\})?) (\S+)/.exec(line) ?? [];
    if (series !== "") samples.set(series, Number(value));
  }
  return samples;
}

/** Sum of the samples of a metric whose labels fit. */
export function sumOf(
  samples: Samples,
  metric: string,
  fits: (series: string) => boolean = () => true,
): number {
  let sum = 0;
  for (const [series, value] of samples) {
    if ((series === metric || series.startsWith(`${metric}{`)) && fits(series)) sum += value;
  }
  return sum;
}

/** What each controller Pod says of itself, by Pod name, through the API server. */
export async function controllerSamples(cluster: BenchCluster): Promise<ReadonlyMap<string, Samples>> {
  const pods = await listAll(cluster, "Pod", {
    namespace: systemNamespace,
    labels: "app.kubernetes.io/name=mc-wan-controller",
  });
  const pages = pods.map(async ({ metadata }) => {
    const page = await cluster.text(
      `/api/v1/namespaces/${systemNamespace}/pods/${metadata.name}:8080/proxy/metrics`,
    );
    return [metadata.name, parseSamples(page)] as const;
  });
  return new Map(await Promise.all(pages));
}

/** What a process holds, in MiB. */
export interface Memory {
  readonly rssMiB: number;
  /** Pages that processes share count in part: what it would be alone is RSS. */
  readonly pssMiB: number;
}

/** Memory of the lab's processes whose command line fits, the largest first. */
export function memoryOf(lab: Lab, fits: (command: string) => boolean): Memory[] {
  const pids = [lab.state.process.pid];
  for (const pid of pids) pids.push(...childrenOf(pid));
  const found = pids.filter((pid) => fits(commandOf(pid))).flatMap((pid) => memory(pid) ?? []);
  return found.sort((a, b) => b.rssMiB - a.rssMiB);
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    return "";
  }
}

/** Memory of a process; undefined if there is none. */
export function memory(pid: number): Memory | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
    const of = (name: string): number =>
      Math.round(Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? Number.NaN) / 102.4) /
      10;
    return { rssMiB: of("Rss"), pssMiB: of("Pss") };
  } catch {
    return undefined;
  }
}
