/**
 * Brings one cluster from nothing to ready, step by step, and says each step.
 *
 *     API server ─> objects and CRDs ─> controller-manager, kube-proxy, CoreDNS, node agent ─> Node Ready, DNS answers through its ClusterIP
 *
 * Never waits longer than one poll for anything, and never gives up by itself: who starts the lab sets the time limit.
 */
import { Resolver } from "node:dns/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { LabPlan } from "../lab-plan.ts";
import { ApiRefusedError, KubeApi, readKubeconfig } from "../node-agent/kube-api.ts";
import { arrayAt, isObject, objectAt } from "../node-agent/json.ts";
import {
  clusterProperties,
  dnsObjects,
  nodeAddressStatus,
  nodeObject,
  type PlacedObject,
} from "./cluster-objects.ts";
import {
  apiServerProgram,
  controllerManagerProgram,
  corednsProgram,
  kubeProxyProgram,
  nodeAgentProgram,
  type PreparedCluster,
} from "./control-plane.ts";
import type { Programs } from "./processes.ts";

/** How long what is right may be refused. */
const EARLY_MS = 30_000;
const POLL_MS = 25;
/** As CoreDNS reads them. */
const SERVICE_IMPORTS = "/apis/multicluster.x-k8s.io/v1alpha1/serviceimports";
const FIELD_MANAGER = "mc-wan-lab";

/** What all clusters share while they start. */
export interface LabStart {
  readonly plan: LabPlan;
  readonly programs: Programs;
  readonly crds: readonly PlacedObject[];
  readonly step: (text: string, cluster?: string) => void;
}

/** Starts a prepared cluster; fulfils when it is ready, with a connection to its API server. */
export async function startCluster(lab: LabStart, cluster: PreparedCluster): Promise<KubeApi> {
  const { id, nodeName, addresses } = cluster.plan;
  const start = (spec: Parameters<Programs["start"]>[0]): void => {
    lab.programs.start(spec);
  };
  start(apiServerProgram(lab.plan, cluster));
  const api = new KubeApi(readKubeconfig(cluster.kubeconfigFile));
  await until(async () => (await api.call("GET", "/api/v1/namespaces/kube-system")) !== undefined);
  lab.step("API server answers", id);

  // On a busy machine an API server that answers may still let a request wait until it is too late: all of these can be made again.
  await until(async () => await apply(api, nodeObject(cluster.plan)));
  await until(async () => await patchNodeStatus(api, nodeName, nodeAddressStatus(cluster.plan)));
  start(kubeProxyProgram(lab.plan, cluster));
  // CoreDNS would wait for whole seconds if it started before ServiceImports are served.
  const [first, rest] = [lab.crds.filter(isServiceImport), lab.crds.filter((crd) => !isServiceImport(crd))];
  await Promise.all([...first, ...dnsObjects(cluster.plan)].map((placed) => applyEarly(api, placed)));
  if (lab.plan.nodes) start(nodeAgentProgram(lab.plan, cluster));
  const served = until(async () => (await api.call("GET", SERVICE_IMPORTS)) !== undefined).then(() => {
    start(corednsProgram(lab.plan, cluster));
  });
  // kube-controller-manager gives up when the API server is not healthy within 10 s, which a busy machine may need.
  const healthy = until(async () => await isHealthy(api)).then(() => {
    start(controllerManagerProgram(lab.plan, cluster));
  });
  await Promise.all([served, healthy, ...rest.map((placed) => until(async () => await apply(api, placed)))]);
  await Promise.all(
    clusterProperties(cluster.plan).map((placed) => until(async () => await apply(api, placed))),
  );
  lab.step("CRDs are applied", id);

  await Promise.all([
    lab.plan.nodes
      ? nodeReady(api, nodeName).then(() => {
          lab.step("Node is Ready", id);
        })
      : undefined,
    dnsAnswers(addresses.dnsService).then(() => {
      lab.step("DNS answers", id);
    }),
  ]);
  return api;
}

/** /healthz answers with text; any other status than 200 is thrown. */
async function isHealthy(api: KubeApi): Promise<true> {
  for await (const _ of api.lines("/healthz", AbortSignal.timeout(5_000)));
  return true;
}

function isServiceImport({ path }: PlacedObject): boolean {
  return path.endsWith("/serviceimports.multicluster.x-k8s.io");
}

/** Server-side apply. Fulfils with true. */
async function apply(api: KubeApi, { path, object }: PlacedObject): Promise<true> {
  await api.call("PATCH", `${path}?fieldManager=${FIELD_MANAGER}&force=true`, {
    body: object,
    contentType: "application/apply-patch+yaml",
  });
  return true;
}

/**
 * For an API server that has just started: it refuses a Service with 422 until it has read the range of its ClusterIPs,
 * which takes seconds on a busy machine.
 */
async function applyEarly(api: KubeApi, placed: PlacedObject): Promise<void> {
  const endMs = performance.now() + EARLY_MS;
  for (;;) {
    try {
      await apply(api, placed);
      return;
    } catch (error) {
      if (isFault(error) && !(error.status === 422 && performance.now() < endMs)) throw error;
    }
    await sleep(POLL_MS);
  }
}

async function patchNodeStatus(api: KubeApi, nodeName: string, body: unknown): Promise<true> {
  await api.call("PATCH", `/api/v1/nodes/${nodeName}/status`, {
    body,
    contentType: "application/merge-patch+json",
  });
  return true;
}

async function nodeReady(api: KubeApi, nodeName: string): Promise<void> {
  await until(async () => {
    const node = await api.call("GET", `/api/v1/nodes/${nodeName}`);
    if (!isObject(node)) return false;
    return arrayAt(objectAt(node, "status"), "conditions").some(
      (entry) => isObject(entry) && entry["type"] === "Ready" && entry["status"] === "True",
    );
  });
}

/** Through the ClusterIP: this is CoreDNS, kube-proxy and the way there, all in one question. */
async function dnsAnswers(server: string): Promise<void> {
  await until(async () => {
    const resolver = new Resolver({ timeout: 200, tries: 1 });
    resolver.setServers([server]);
    return (await resolver.resolve4("kubernetes.default.svc.cluster.local")).length > 0;
  });
}

/** Polls until `attempt` gives true. What it throws is "not yet", but for a request that the API server finds wrong. */
async function until(attempt: () => Promise<boolean>): Promise<void> {
  for (;;) {
    try {
      if (await attempt()) return;
    } catch (error) {
      if (isFault(error)) throw error;
    }
    await sleep(POLL_MS);
  }
}

/** Whether the API server finds the request itself wrong. */
function isFault(error: unknown): error is ApiRefusedError {
  return error instanceof ApiRefusedError && [400, 409, 413, 415, 422].includes(error.status);
}
