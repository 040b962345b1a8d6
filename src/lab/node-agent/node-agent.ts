/**
 * The node agent: every Pod of its cluster that has no node is bound to this one, every Pod of this node is run.
 *
 *     pod watch ──> bind │ PodWorker per Pod ──> status, Events
 *     kubelet endpoint (exec, logs, port-forward) ──> PodWorker
 *
 * It holds no state that a restart needs: what was left of an earlier agent is cleared first, and Pods start anew.
 */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import PQueue from "p-queue";
import type { IPod } from "kubernetes-models/v1/Pod";
import type { NodeAgentConfig } from "../node-agent-config.ts";
import { PodEvents } from "./events.ts";
import { readHostLayout, readHostResolvConf } from "./host-layout.ts";
import { loadImages } from "./images.ts";
import { arrayAt, isObject, objectAt, stringAt } from "./json.ts";
import { ApiRefusedError, KubeApi, readKubeconfig } from "./kube-api.ts";
import { serveKubelet } from "./kubelet-server.ts";
import { AddressPool, listNetns, removeNetns } from "./network.ts";
import { keepNode, registerNode } from "./node.ts";
import { PodWorker } from "./pod-worker.ts";
import type { PodSettings } from "./pod-settings.ts";
import { watchPods, type PodHandler } from "./pod-watch.ts";

/** More would only wait for each other on a small machine. */
const PARALLEL_STARTS = 4;

/** A line of what the agent does, for whoever reads its log. */
export type Report = (message: string, fields: Readonly<Record<string, unknown>>) => void;

/** A running agent. */
export interface NodeAgent {
  /** Stops every Pod's processes at once, without touching the objects, and gives the network back. */
  stop(): Promise<void>;
}

/** Clears leftovers, registers the Node, opens the kubelet endpoint and begins to run Pods. Waits for the API server; throws when anything else fails. */
export async function startNodeAgent(config: NodeAgentConfig, report: Report): Promise<NodeAgent> {
  const api = new KubeApi(readKubeconfig(config.kubeconfig));
  const failed = (error: unknown): void => {
    report("the API server could not be reached", {
      error: error instanceof Error ? error.message : String(error),
    });
  };
  // A cluster's id holds no dot, so no id's names begin like another's.
  const netnsPrefix = `pod.${config.cluster}.`;
  await Promise.all(listNetns(netnsPrefix).map(removeNetns));
  await rm(join(config.runDir, "pods"), { recursive: true, force: true });
  await mkdir(join(config.runDir, "pods"), { recursive: true });
  for (let waitMs = 100; ; waitMs = Math.min(waitMs * 2, 5_000)) {
    try {
      await registerNode(api, config);
      break;
    } catch (error) {
      failed(error);
      await sleep(waitMs);
    }
  }
  const settings: PodSettings = {
    config,
    api,
    netnsPrefix,
    images: loadImages(config.cacheDir, config.imagesFile),
    addresses: new AddressPool(config.podCIDR, [config.nodeIP, config.podGatewayIP]),
    host: readHostLayout(),
    hostResolvConf: readHostResolvConf(),
    events: new PodEvents(api, config.nodeName),
    apiService: once(() => readApiService(api)),
    startQueue: new PQueue({ concurrency: PARALLEL_STARTS }),
  };
  const workers = new Map<string, PodWorker>();
  const kubelet = await serveKubelet(config, {
    find: (namespace, name) =>
      [...workers.values()].find(
        ({ pod }) => pod.metadata?.namespace === namespace && pod.metadata.name === name,
      ),
    all: () => [...workers.values()],
  });
  const stopKeeping = keepNode(api, config, failed);
  const ending = new AbortController();
  const watch = watchPods(api, podHandler(settings, workers, { failed, report }), ending.signal);
  report("node agent is ready", {
    node: config.nodeName,
    endpoint: `${config.nodeIP}:${config.kubelet.port}`,
  });
  return {
    stop: async () => {
      ending.abort();
      stopKeeping();
      kubelet.close();
      await watch;
      await Promise.all([...workers.values()].map((worker) => worker.gone()));
      await api.close();
    },
  };
}

function podHandler(
  settings: PodSettings,
  workers: Map<string, PodWorker>,
  tell: { failed: (error: unknown) => void; report: Report },
): PodHandler {
  const binding = new Set<string>();
  const { api, config } = settings;
  const gone = (uid: string): void => {
    const worker = workers.get(uid);
    workers.delete(uid);
    binding.delete(uid);
    worker?.gone().catch(tell.failed);
  };
  const put = (pod: IPod): void => {
    const uid = pod.metadata?.uid ?? "";
    if (pod.spec?.nodeName === undefined || pod.spec.nodeName === "") {
      if (!wantsNode(pod) || binding.has(uid)) return;
      binding.add(uid);
      bind(api, pod, config.nodeName).catch((error: unknown) => {
        binding.delete(uid);
        tell.failed(error);
      });
      return;
    }
    binding.delete(uid);
    if (pod.spec.nodeName !== config.nodeName) return;
    const known = workers.get(uid);
    if (known !== undefined) {
      known.update(pod);
      return;
    }
    const leaving = pod.metadata?.deletionTimestamp !== undefined;
    const over = pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
    if (over && !leaving) return;
    const worker = new PodWorker(pod, settings);
    workers.set(uid, worker);
    // Without a process of ours there is nothing to stop: only the object is taken away.
    if (leaving) worker.end({ remove: true }).catch(tell.failed);
    else worker.start();
  };
  return {
    put,
    gone: (pod) => { gone(pod.metadata?.uid ?? ""); }, // prettier-ignore
    replace: (pods) => {
      const there = new Set(pods.map((pod) => pod.metadata?.uid ?? ""));
      for (const uid of [...workers.keys()]) if (!there.has(uid)) gone(uid);
      binding.clear();
      pods.forEach(put);
    },
    failed: tell.failed,
  };
}

function wantsNode(pod: IPod): boolean {
  const { schedulerName = "default-scheduler", schedulingGates = [] } = pod.spec ?? {};
  return (
    pod.metadata?.deletionTimestamp === undefined &&
    schedulerName === "default-scheduler" &&
    schedulingGates.length === 0
  );
}

async function bind(api: KubeApi, pod: IPod, nodeName: string): Promise<void> {
  const { namespace = "", name = "", uid = "" } = pod.metadata ?? {};
  const body = {
    apiVersion: "v1",
    kind: "Binding",
    metadata: { name, namespace, uid },
    target: { apiVersion: "v1", kind: "Node", name: nodeName },
  };
  try {
    await api.call("POST", `/api/v1/namespaces/${namespace}/pods/${name}/binding`, { body });
  } catch (error) {
    // Gone or bound in between: the watch tells.
    if (!(error instanceof ApiRefusedError && (error.status === 404 || error.status === 409))) throw error;
  }
}

async function readApiService(api: KubeApi): Promise<Record<string, string>> {
  const answer = await api.call("GET", "/api/v1/namespaces/default/services/kubernetes");
  const spec = objectAt({ ...(isObject(answer) ? answer : {}) }, "spec");
  const [port] = arrayAt(spec, "ports");
  const host = stringAt(spec, "clusterIP");
  return {
    KUBERNETES_SERVICE_HOST: host,
    KUBERNETES_SERVICE_PORT:
      isObject(port) && typeof port["port"] === "number" ? String(port["port"]) : "443",
    KUBERNETES_SERVICE_PORT_HTTPS:
      isObject(port) && typeof port["port"] === "number" ? String(port["port"]) : "443",
  };
}

/** Remembers the first success; a failure is tried again by the next caller. */
function once<T>(read: () => Promise<T>): () => Promise<T> {
  let value: Promise<T> | undefined;
  return () => {
    value ??= read().catch((error: unknown) => {
      value = undefined;
      throw error;
    });
    return value;
  };
}
