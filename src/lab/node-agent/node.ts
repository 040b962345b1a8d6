/**
 * The cluster's one Node object: registers it, keeps it Ready, renews its Lease. It never deletes it: the lab is thrown away whole.
 */
import type { NodeAgentConfig } from "../node-agent-config.ts";
import { ApiRefusedError, type KubeApi } from "./kube-api.ts";

/** A Lease that is not renewed for 40 s costs the Node its readiness. */
const LEASE_PERIOD_MS = 10_000;
/** A Node that was taken for dead, on a busy machine, is Ready again after this many. */
const STATUS_EVERY_LEASES = 2;
const LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";

async function createUnlessThere(api: KubeApi, path: string, body: unknown): Promise<void> {
  try {
    await api.call("POST", path, { body });
  } catch (error) {
    if (!(error instanceof ApiRefusedError && error.reason === "AlreadyExists")) throw error;
  }
}

/** Makes the Node if it is missing and writes its status. Throws what the API server says. */
export async function registerNode(api: KubeApi, config: NodeAgentConfig): Promise<void> {
  const labels = {
    "kubernetes.io/hostname": config.nodeName,
    "kubernetes.io/os": "linux",
    "kubernetes.io/arch": process.arch === "arm64" ? "arm64" : "amd64",
  };
  await createUnlessThere(api, "/api/v1/nodes", {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: config.nodeName, labels },
    spec: { podCIDR: config.podCIDR, podCIDRs: [config.podCIDR] },
  });
  await writeNodeStatus(api, config);
}

async function writeNodeStatus(api: KubeApi, config: NodeAgentConfig): Promise<void> {
  const now = `${new Date().toISOString().slice(0, 19)}Z`;
  const resources = { cpu: "16", memory: "32Gi", pods: "250", "ephemeral-storage": "64Gi" };
  const good = (type: string, status: string, reason: string): Record<string, string> => ({
    type,
    status,
    reason,
    message: "said by the lab's node agent",
    lastHeartbeatTime: now,
  });
  const status = {
    capacity: resources,
    allocatable: resources,
    addresses: [
      { type: "InternalIP", address: config.nodeIP },
      { type: "Hostname", address: config.nodeName },
    ],
    daemonEndpoints: { kubeletEndpoint: { Port: config.kubelet.port } },
    // With this kube-apiserver hands a client's WebSocket on as it is, instead of speaking SPDY to us.
    declaredFeatures: ["ExtendWebSocketsToKubelet"],
    conditions: [
      good("Ready", "True", "NodeAgentReady"),
      good("MemoryPressure", "False", "NotMeasured"),
      good("DiskPressure", "False", "NotMeasured"),
      good("PIDPressure", "False", "NotMeasured"),
    ],
    nodeInfo: {
      architecture: process.arch === "arm64" ? "arm64" : "amd64",
      operatingSystem: "linux",
      osImage: "mc-wan lab",
      kernelVersion: "",
      kubeletVersion: "v1.36.1",
      kubeProxyVersion: "",
      containerRuntimeVersion: "mc-wan-lab://1",
      machineID: "",
      systemUUID: "",
      bootID: "",
    },
  };
  const path = `/api/v1/nodes/${config.nodeName}/status`;
  await api.call("PATCH", path, { body: { status }, contentType: "application/strategic-merge-patch+json" });
}

async function renewLease(api: KubeApi, nodeName: string): Promise<void> {
  const spec = {
    holderIdentity: nodeName,
    leaseDurationSeconds: 40,
    renewTime: new Date().toISOString().replace(/Z$/, "000Z"),
  };
  try {
    await api.call("PATCH", `${LEASES}/${nodeName}`, {
      body: { spec },
      contentType: "application/merge-patch+json",
    });
  } catch (error) {
    if (!(error instanceof ApiRefusedError && error.status === 404)) throw error;
    const metadata = { name: nodeName, namespace: "kube-node-lease" };
    await createUnlessThere(api, LEASES, {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata,
      spec,
    });
  }
}

/** Renews the Lease from now on, and now and then the status. Returns a function that stops it. */
export function keepNode(
  api: KubeApi,
  config: NodeAgentConfig,
  failed: (error: unknown) => void,
): () => void {
  let beats = 0;
  const beat = (): void => {
    beats += 1;
    const status = beats % STATUS_EVERY_LEASES === 0 ? writeNodeStatus(api, config) : Promise.resolve();
    Promise.all([renewLease(api, config.nodeName), status]).catch(failed);
  };
  beat();
  const timer = setInterval(beat, LEASE_PERIOD_MS);
  return () => { clearInterval(timer); }; // prettier-ignore
}
