/**
 * What faults are made in: a service of two Pods in each of two clusters of a lab, exported, and imported by the first.
 *
 *     lab of three clusters → objects → FaultRig
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Agent, request } from "undici";
import { homeAccess } from "../src/drivers/kube/kubeconfig.ts";
import { KubeClient } from "../src/drivers/kube/kube-client.ts";
import type { Lab } from "../src/lab/lab.ts";
import { annotations, labels, shadowName, systemNamespace } from "../src/model/names.ts";
import { kinds } from "../src/model/kinds.ts";
import type { KubeObject } from "../src/model/kube-object.ts";
import { createAll, deleteAll, echoObjects, echoService, until } from "./cluster.ts";
import type { FaultRig, Selection } from "./fault-rig.ts";

const namespace = "bench-faults";
const service = "victim";
const policy = { name: "bench-faults", tunnel: "business", port: 31_131, mode: "Plain" };
const backends: Selection = { namespace, labels: "app=echo", replicas: 2 };
const gateways: Selection = {
  namespace: systemNamespace,
  labels: `${labels.fleet}=mc-wan-ingress`,
  replicas: 2,
};

/** A rig, and its end: what was made is deleted. */
export interface OpenRig {
  readonly rig: FaultRig;
  readonly close: () => Promise<void>;
}

interface Cluster {
  readonly client: KubeClient;
  /** Deletes without grace: kubelets kill what runs at once. */
  readonly deleteNow: (path: string) => Promise<void>;
  readonly end: () => Promise<void>;
}

/** Makes what is needed in the lab's first three clusters; the first consumes. Fulfils when both others answer. */
export async function openFaultRig(
  lab: Lab,
  { ratePerSecond, signal }: { readonly ratePerSecond: number; readonly signal: AbortSignal },
): Promise<OpenRig> {
  const [consumer, exporter, other] = lab.clusters.map(({ id }) => id);
  if (consumer === undefined || exporter === undefined || other === undefined)
    throw new Error("three clusters are needed");
  const clusters = new Map<string, Cluster>();
  const close = async (): Promise<void> => {
    for (const [id, cluster] of clusters) {
      await deleteAll(cluster, objectsOf(id !== consumer).toReversed(), 1).catch(() => undefined);
      await cluster.end();
    }
    clusters.clear();
  };
  try {
    for (const id of [consumer, exporter, other]) clusters.set(id, await open(lab, id));
    for (const [id, cluster] of clusters) await createAll(cluster, objectsOf(id !== consumer), 1);
    const at = (id: string): Cluster => {
      const found = clusters.get(id);
      if (found === undefined) throw new Error(`no cluster ${id}`);
      return found;
    };
    const areReady = async (id: string, pods: Selection): Promise<void> => {
      const timeoutMs = 120_000;
      // The rig lives longer than what was given to open it.
      const limits = { timeoutMs, signal: AbortSignal.timeout(2 * timeoutMs) };
      await until(`Pods ${pods.labels} of ${id} to be ready`, limits, async () =>
        (await readyPods(at(id), pods)).length === pods.replicas ? true : undefined,
      );
    };
    const kill: FaultRig["kill"] = async (id, pods, howMany) => {
      const [first] = await readyPods(at(id), pods);
      const all = `/api/v1/namespaces/${pods.namespace}/pods`;
      if (howMany === "all")
        await at(id).deleteNow(`${all}?labelSelector=${encodeURIComponent(pods.labels)}`);
      else await at(id).deleteNow(`${all}/${first?.metadata.name ?? ""}`);
    };
    await Promise.all(
      [exporter, other].map(async (id) => {
        await areReady(id, backends);
      }),
    );
    const shadow = { namespace, name: shadowName(service) };
    const urlIn = async (id: string): Promise<string> => {
      const clusterIP = await until("the shadow Service", { timeoutMs: 60_000, signal }, async () => {
        const found = await at(id).client.get(kinds.Service, shadow);
        return (found?.["spec"] as { clusterIP?: string } | undefined)?.clusterIP;
      });
      return `http://${clusterIP}:8080/`;
    };
    const rig: FaultRig = {
      ...{
        lab,
        consumer,
        exporter,
        tunnel: policy.tunnel,
        kill,
        areReady,
        backends,
        gateways,
        ratePerSecond,
      },
      url: await urlIn(consumer),
      urlIn,
      host: `${service}.${namespace}.svc.clusterset.local:8080`,
    };
    // Endpoints, routes and rules of kube-proxy are on their way.
    await sleep(3_000, undefined, { signal });
    return { rig, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function open(lab: Lab, id: string): Promise<Cluster> {
  const access = await homeAccess({ kubeconfig: lab.kubeconfig, context: lab.cluster(id).context });
  const client = new KubeClient(access);
  const agent = new Agent({ connect: access.tls, allowH2: false });
  const deleteNow = async (path: string): Promise<void> => {
    const authorization = await access.authorization();
    const headers = {
      "content-type": "application/json",
      ...(authorization === undefined ? {} : { authorization }),
    };
    const body = JSON.stringify({ apiVersion: "v1", kind: "DeleteOptions", gracePeriodSeconds: 0 });
    const url = new URL(path, access.server);
    const answer = await request(url, { method: "DELETE", dispatcher: agent, headers, body });
    await answer.body.dump();
    if (answer.statusCode >= 300) throw new Error(`DELETE ${path} of ${id}: ${answer.statusCode}`);
  };
  const end = async (): Promise<void> => {
    await client.close();
    await agent.destroy();
  };
  return { client, deleteNow, end };
}

async function readyPods({ client }: Cluster, { namespace, labels }: Selection): Promise<KubeObject[]> {
  const { items } = await client.list(kinds.Pod, { namespace, labels, signal: AbortSignal.timeout(10_000) });
  return (items as KubeObject[]).filter(({ metadata, status }) => {
    const conditions = (status as { conditions?: { type: string; status: string }[] } | undefined)
      ?.conditions;
    const isReady = conditions?.some((one) => one.type === "Ready" && one.status === "True") ?? false;
    return isReady && metadata.deletionTimestamp === undefined;
  });
}

function objectsOf(exports: boolean): KubeObject[] {
  const [namespaceObject, ...workload] = echoObjects(namespace);
  const { name, ...spec } = policy;
  const common: KubeObject[] = [
    ...(namespaceObject === undefined ? [] : [namespaceObject]),
    { apiVersion: kinds.WANPolicy.apiVersion, kind: "WANPolicy", metadata: { name }, spec },
  ];
  if (!exports) return common;
  const deployments = workload.map((object): KubeObject => ({
    ...object,
    spec: { ...(object["spec"] as object), replicas: backends.replicas },
  }));
  return [
    ...common,
    ...deployments,
    echoService(namespace, service),
    {
      apiVersion: kinds.ServiceExport.apiVersion,
      kind: "ServiceExport",
      metadata: {
        name: service,
        namespace,
        // Past no gateway: only an Envoy tries again.
        annotations: { [annotations.wanPolicy]: name, [annotations.path]: "Gateway" },
      },
    },
  ];
}
