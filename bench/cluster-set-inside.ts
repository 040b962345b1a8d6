/**
 * A controller with many peers, inside of a private network: every cluster is a real API server, in the peers of which stands what
 * their controllers would have written. Task on standard input, result on standard output, both JSON; what happens on standard error.
 *
 *     peers' API servers → controller → home's API server ← watch
 */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { kubeconfig } from "../src/lab/kubeconfig.ts";
import { kinds } from "../src/model/kinds.ts";
import type { KubeObject } from "../src/model/kube-object.ts";
import { ingressPool, labels, systemNamespace } from "../src/model/names.ts";
import { createNamespace, startHomeCluster } from "../test/home-cluster.ts";
import type { HomeCluster } from "../test/home-cluster.ts";
import { createAll, parseSamples, sumOf, until } from "./cluster.ts";
import type { Memory } from "./cluster.ts";
import { controllerEnvironment } from "./deployed.ts";
import { follow, readTask } from "./inside-watch.ts";
import { Program } from "./program.ts";

/** What is to be measured. */
export interface ClusterSetTask {
  readonly folder: string;
  /** How many peers there are, one after the other, ascending. */
  readonly stages: readonly number[];
  /** Services that each peer exports. */
  readonly exports: number;
  /** All peers export the same services; else each its own. */
  readonly areShared: boolean;
  readonly policies: number;
  /** Changes of one peer that are followed at each stage. */
  readonly changes: number;
}

/** What it costs to come to rest after something has happened. */
export interface Settling {
  /** Until nothing was written any more. */
  readonly settledMs: number;
  readonly writes: number;
  readonly cpuMs: number;
}

/** The controller with so many peers. */
export interface Stage {
  readonly peers: number;
  readonly joined: Settling;
  /** After a rest. */
  readonly memory: Memory;
  /** From before a write at a peer until home's EndpointSlice has it. */
  readonly changedMs: readonly number[];
  /** A gateway of a peer is replaced. */
  readonly gatewayReplaced: Settling;
}

const namespace = "shop";
const firstPort = 31_111;
const healthPort = 8080;
const limits = { timeoutMs: 900_000, signal: new AbortController().signal };
const apiVersion = "mc-wan.l7mp.io/v1alpha1";
const policyName = (index: number): string => `policy-${index}`;
const say = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

const policyObjects = (count: number): KubeObject[] =>
  Array.from({ length: count }, (_, index) => ({
    apiVersion,
    kind: "WANPolicy",
    metadata: { name: policyName(index) },
    spec: { tunnel: `tunnel-${index}`, port: firstPort + index, mode: "Plain" },
  }));

function advertisement(name: string): KubeObject {
  const spec = {
    formatVersion: 1,
    type: "ClusterSetIP",
    exportTime: "2026-01-01T00:00:00Z",
    ports: [{ name: "http", protocol: "TCP", port: 80 }],
    ipFamilies: ["IPv4"],
    wanPolicy: policyName(0),
    pool: ingressPool,
    readyBackends: [{ zone: "", count: 2 }],
  };
  return { apiVersion, kind: "ServiceAdvertisement", metadata: { name, namespace }, spec };
}

function pool(peer: number, policies: number, generation: number): KubeObject {
  const ports = Object.fromEntries(
    Array.from({ length: policies }, (_, index) => [policyName(index), firstPort + index]),
  );
  const endpoints = [1, 2 + generation].map((host) => ({ address: `198.18.${100 + peer}.${host}`, ports }));
  return {
    apiVersion,
    kind: "GatewayAdvertisement",
    metadata: { name: ingressPool, namespace: systemNamespace },
    spec: { formatVersion: 1, mode: "PodIP", endpoints },
  };
}

/** The n-th peer's id; ids are in the order of their numbers. */
const idOf = (peer: number): string => `peer-${String(peer).padStart(2, "0")}`;
const serviceName = ({ areShared }: ClusterSetTask, peer: number, index: number): string =>
  areShared ? `service-${index}` : `service-${peer}-${index}`;

async function startPeer(task: ClusterSetTask, peer: number): Promise<HomeCluster> {
  const cluster = await startHomeCluster();
  await createNamespace(cluster.client, namespace);
  await createAll(cluster, [...policyObjects(task.policies), pool(peer, task.policies, 0)]);
  const names = Array.from({ length: task.exports }, (_, index) => serviceName(task, peer, index));
  await createAll(cluster, names.map(advertisement));
  say(`${idOf(peer)} is up`);
  return cluster;
}

function peerSecret(peer: number, { api: { url: server, authority, token } }: HomeCluster): KubeObject {
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: idOf(peer), namespace: systemNamespace, labels: { [labels.peer]: idOf(peer) } },
    stringData: { kubeconfig: kubeconfig([{ context: idOf(peer), server, authority, token }]) },
  };
}

function startController({ api }: HomeCluster, task: ClusterSetTask): Program {
  const flags = {
    kubeconfig: api.kubeconfigFile,
    context: api.context,
    "cluster-id": "home",
    "xds-address": "127.0.0.1",
    "leader-elect": "false",
    "dummy-endpoints": "Referenced",
  };
  const main = join(import.meta.dirname, "../src/cli/main.ts");
  const words = [process.execPath, main, "controller"];
  return new Program([...words, ...Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value])], {
    name: "mc-wan",
    log: join(task.folder, "controller.log"),
    env: { ...controllerEnvironment(), POD_NAME: "bench", POD_IP: "127.0.0.1" },
  });
}

interface Counts {
  readonly writes: number;
  readonly waiting: number;
}

async function counts(): Promise<Counts> {
  const answer = await fetch(`http://127.0.0.1:${healthPort}/metrics`);
  const samples = parseSamples(await answer.text());
  return {
    writes: sumOf(samples, "mcwan_writes_total"),
    waiting: sumOf(samples, "mcwan_writes_waiting"),
  };
}

/** Does something, and waits until three seconds have passed without a write. */
async function settling(
  controller: Program,
  act: () => Promise<unknown>,
  isDone: () => Promise<boolean>,
): Promise<Settling> {
  const before = await counts().catch(() => ({ writes: 0, waiting: 0 }));
  const cpuMs = controller.cpuMs();
  const startedMs = performance.now();
  await act();
  let last = { writes: before.writes, atMs: startedMs, cpuMs };
  await until("rest", limits, async () => {
    controller.mustRun();
    const now = await counts();
    if (now.writes !== last.writes || now.waiting > 0)
      last = { writes: now.writes, atMs: performance.now(), cpuMs: controller.cpuMs() };
    const isQuiet = performance.now() - last.atMs > 3000;
    return isQuiet && (await isDone()) ? true : undefined;
  });
  return { settledMs: last.atMs - startedMs, writes: last.writes - before.writes, cpuMs: last.cpuMs - cpuMs };
}

async function importsOf({ client }: HomeCluster): Promise<number> {
  const found = await client.list(kinds.McsServiceImport, { namespace, signal: limits.signal });
  return found.items.length;
}

/** How long home takes to see that a service of the first peer has backends, or has none any more. */
async function changes(task: ClusterSetTask, home: HomeCluster, peer: HomeCluster): Promise<number[]> {
  const name = serviceName(task, 0, 0);
  const stop = new AbortController();
  let awaited: { readonly isReady: boolean; readonly seen: () => void } | undefined;
  await follow(home.client, { kind: "EndpointSlice", namespace, signal: stop.signal }, (object) => {
    const of = object.metadata.labels ?? {};
    if (of[labels.mcsServiceName] !== name || of[labels.mcsSourceCluster] !== idOf(0)) return;
    const { endpoints } = object as unknown as { endpoints?: { conditions?: { ready?: boolean } }[] };
    const isReady = (endpoints ?? []).some(({ conditions }) => conditions?.ready !== false);
    if (awaited?.isReady === isReady) awaited.seen();
  });
  const tookMs: number[] = [];
  for (let change = 0; change < task.changes; change += 1) {
    const isReady = change % 2 === 1;
    const standing = await peer.client.get(kinds.ServiceAdvertisement, { namespace, name });
    if (standing === undefined) throw new Error(`${name} has gone`);
    const spec = { ...(standing["spec"] as object), readyBackends: isReady ? [{ zone: "", count: 2 }] : [] };
    const seen = new Promise<void>((resolve) => (awaited = { isReady, seen: resolve }));
    const startedMs = performance.now();
    await peer.client.replace(kinds.ServiceAdvertisement, { ...standing, spec });
    await Promise.race([
      seen,
      sleep(30_000).then(() => {
        throw new Error("a change was not seen within 30 s");
      }),
    ]);
    tookMs.push(performance.now() - startedMs);
    await sleep(200);
  }
  stop.abort();
  return tookMs;
}

async function replaceGateway({ client }: HomeCluster, next: KubeObject): Promise<void> {
  const { namespace: of, name } = next.metadata;
  const standing = await client.get(kinds.GatewayAdvertisement, { namespace: of, name });
  if (standing === undefined) throw new Error("the pool of a peer has gone");
  await client.replace(kinds.GatewayAdvertisement, { ...next, metadata: standing.metadata });
}

async function run(task: ClusterSetTask): Promise<Stage[]> {
  const home = await startHomeCluster();
  const peers: HomeCluster[] = [];
  let controller: Program | undefined;
  try {
    await createNamespace(home.client, namespace);
    await createAll(home, policyObjects(task.policies));
    controller = startController(home, task);
    const running = controller;
    await until("the controller's metrics", limits, async () => {
      running.mustRun();
      return await counts();
    });
    const stages: Stage[] = [];
    for (const count of task.stages) {
      const secrets: KubeObject[] = [];
      while (peers.length < count) {
        const peer = await startPeer(task, peers.length);
        secrets.push(peerSecret(peers.length, peer));
        peers.push(peer);
      }
      const wanted = task.areShared ? task.exports : task.exports * count;
      const joined = await settling(
        running,
        () => createAll(home, secrets),
        async () => (await importsOf(home)) === wanted,
      );
      say(`${count} peers are joined after ${Math.round(joined.settledMs)} ms and ${joined.writes} writes`);
      await sleep(15_000);
      const memory = running.memory();
      const [first] = peers;
      if (first === undefined) continue;
      const changedMs = await changes(task, home, first);
      const gatewayReplaced = await settling(
        running,
        () => replaceGateway(first, pool(0, task.policies, stages.length + 1)),
        () => Promise.resolve(true),
      );
      stages.push({ peers: count, joined, memory, changedMs, gatewayReplaced });
      say(`${count} peers are measured`);
    }
    return stages;
  } finally {
    await controller?.stop();
    await Promise.all([home, ...peers].map((cluster) => cluster.stop()));
  }
}

process.stdout.write(JSON.stringify(await run(await readTask<ClusterSetTask>())));
