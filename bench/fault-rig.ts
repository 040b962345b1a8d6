/**
 * Faults under load, in a lab: a service that two clusters export and a third asks for through its egress gateway, what can
 * die on the way, and what becomes of the requests. Benchmark and end-to-end tests share it.
 *
 *     load (so many GET/s) ─→ wait ─→ fault ─→ 10 s that count ─→ heal ─→ wait until all is as before
 */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Summary } from "../src/cli/commands/probe-summary.ts";
import type { Lab } from "../src/lab/lab.ts";

/** What dies. */
export const faults = ["backend", "gateway", "cluster", "link"] as const;
export type Fault = (typeof faults)[number];

/** In words, for people. */
export const faultWords: Readonly<Record<Fault, string>> = {
  backend: "a Pod of the service is killed",
  gateway: "an ingress gateway Pod is killed",
  cluster: "all ingress gateway Pods of a cluster are killed",
  link: "the policy's link to a cluster swallows all packets for 10 s",
};

/** Where faults are made and requests are counted. */
export interface FaultRig {
  readonly lab: Lab;
  /** Ids of the clusters. */
  readonly consumer: string;
  readonly exporter: string;
  /** The tunnel of the policy that requests go by. */
  readonly tunnel: string;
  /** Kills Pods at once, without a goodbye. */
  readonly kill: (cluster: string, pods: Selection, howMany: number | "all") => Promise<void>;
  /** Fulfils when as many Pods as are wanted are ready. */
  readonly areReady: (cluster: string, pods: Selection) => Promise<void>;
  readonly backends: Selection;
  readonly gateways: Selection;
  /** Requests, all GET. */
  readonly ratePerSecond: number;
  /** What is asked in the consuming cluster, and its Host. */
  readonly url: string;
  /** The same in another cluster. */
  readonly urlIn: (cluster: string) => Promise<string>;
  readonly host: string;
}

/** Pods of a Deployment. */
export interface Selection {
  readonly namespace: string;
  readonly labels: string;
  readonly replicas: number;
}

/** What became of the requests around one fault. */
export interface FaultResult {
  readonly fault: Fault;
  /** Requests that were begun in the 10 s after the fault. */
  readonly requests: number;
  readonly failed: number;
  /** From the fault to the beginning of the last request that failed; undefined if none did. */
  readonly lastFailureMs: number | undefined;
  readonly failures: Readonly<Record<string, number>>;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Answers by cluster. */
  readonly clusters: Readonly<Record<string, number>>;
}

/** A Node that starts on a busy machine takes its time. */
const leadMs = 8_000;
const countedMs = 10_000;

/** One fault under load, healed again. Clients wait 5 s for an answer. */
export async function inject(rig: FaultRig, fault: Fault, signal: AbortSignal): Promise<FaultResult> {
  const load = runLoad(rig, leadMs + countedMs, signal);
  // Told when it is waited for.
  load.catch(() => undefined);
  const atMs: { value: number | undefined } = { value: undefined };
  try {
    await sleep(leadMs, undefined, { signal });
    atMs.value = Date.now();
    await make(rig, fault);
    const summary = await load;
    return resultOf(fault, summary, atMs.value);
  } finally {
    await load.catch(() => undefined);
    await heal(rig, fault);
  }
}

async function make(rig: FaultRig, fault: Fault): Promise<void> {
  switch (fault) {
    case "backend":
      await rig.kill(rig.exporter, rig.backends, 1);
      return;
    case "gateway":
      await rig.kill(rig.exporter, rig.gateways, 1);
      return;
    case "cluster":
      await rig.kill(rig.exporter, rig.gateways, "all");
      return;
    case "link":
      await rig.lab.changeLinks({ link: rig.tunnel, between: [rig.consumer, rig.exporter] }, { cut: true });
  }
}

async function heal(rig: FaultRig, fault: Fault): Promise<void> {
  if (fault === "link")
    await rig.lab.changeLinks({ link: rig.tunnel, between: [rig.consumer, rig.exporter] }, { cut: false });
  await rig.areReady(rig.exporter, rig.backends);
  await rig.areReady(rig.exporter, rig.gateways);
  await takesPart(rig);
}

/** Waits until both exporting clusters answer again: outlier detection lets a cluster back bit by bit. */
async function takesPart(rig: FaultRig): Promise<void> {
  const endMs = performance.now() + 120_000;
  for (;;) {
    const { clusters, ok, requests } = await runLoad(rig, 1_000, AbortSignal.timeout(30_000));
    const total = Object.values(clusters).reduce((sum, count) => sum + count, 0);
    if (ok === requests && (clusters[rig.exporter] ?? 0) > total / 4) return;
    if (performance.now() > endMs)
      throw new Error(`${rig.exporter} does not take part again: ${JSON.stringify(clusters)}`);
    await sleep(500);
  }
}

/** Requests at a steady rate from a Pod's network in the consuming cluster. */
async function runLoad(rig: FaultRig, durationMs: number, signal: AbortSignal): Promise<Summary> {
  const words = [
    ...[process.execPath, join(import.meta.dirname, "../src/cli/main.ts"), "probe", rig.url],
    ...["--host", rig.host, "--rate", String(rig.ratePerSecond), "--duration", `${durationMs}ms`],
    // Enough that what hangs for two seconds does not hold up the rest.
    ...["--keep-alive", "--concurrency", "512", "--timeout-ms", "5000", "-o", "json"],
  ];
  const { code, stdout, stderr } = await rig.lab.runAsClient(rig.consumer, words, { signal });
  if (code !== 0) throw new Error(`the load failed (${code}): ${stderr.trim().slice(-1_000)}`);
  return JSON.parse(stdout) as Summary;
}

function resultOf(fault: Fault, summary: Summary, faultAtMs: number): FaultResult {
  const offset = faultAtMs - Date.parse(summary.startedAt);
  if (offset < 0) throw new Error(`the load began ${-offset} ms after the fault`);
  const failures = Object.entries(summary.failures);
  const lastMs = Math.max(...failures.map(([, failure]) => failure.lastMs));
  const share = Math.max(0, (summary.durationMs - offset) / summary.durationMs);
  return {
    fault,
    requests: Math.round(summary.requests * share),
    failed: failures.reduce((sum, [, { count }]) => sum + count, 0),
    lastFailureMs: failures.length === 0 ? undefined : Math.round(lastMs - offset),
    failures: Object.fromEntries(failures.map(([reason, { count }]) => [reason, count])),
    p50Ms: summary.latencyMs.p50,
    p99Ms: summary.latencyMs.p99,
    maxMs: summary.latencyMs.max,
    clusters: summary.clusters,
  };
}
