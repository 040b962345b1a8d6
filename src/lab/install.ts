/**
 * Installs mc-wan into clusters and makes them peers of each other, by kubeconfig context: the same for the lab's
 * clusters, kind's and real ones.
 *
 *     deploy/ → kubectl apply -k → every cluster;   token of mc-wan-peer of cluster B → Secret in cluster A
 *
 * Never writes to a cluster's other namespaces, never waits without a bound.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { stringify } from "yaml";
import { labels, systemNamespace } from "../model/names.ts";
import type { Kubectl } from "./kubectl.ts";

/** One cluster to install into. */
export interface InstallTarget {
  /** The cluster's id in the cluster set. */
  readonly id: string;
  /** The context in the kubeconfig. */
  readonly context: string;
}

/** The account that peers read with, of deploy/, and the Secret that Kubernetes fills with a token of it. */
const peerAccount = "mc-wan-peer";
const peerTokenSecret = "mc-wan-peer-token";
const tokenTimeoutMs = 30_000;

/** Applies `deploy/` everywhere and exchanges the peers' kubeconfigs. Gateways may still be starting when it returns. */
export async function installMcWan(
  kubectl: Kubectl,
  targets: readonly InstallTarget[],
  options: { readonly manifests: string; readonly progress: (line: string) => void },
): Promise<void> {
  await Promise.all(
    targets.map(async ({ id, context }) => {
      await kubectl.run(context, ["apply", "--server-side", "--force-conflicts", "-k", options.manifests]);
      await kubectl.run(context, ["apply", "--server-side", "-f", "-"], JSON.stringify(tokenSecret));
      options.progress(`${id}: mc-wan applied`);
    }),
  );
  const access = new Map(
    await Promise.all(
      targets.map(async (target) => [target.id, await peerKubeconfig(kubectl, target)] as const),
    ),
  );
  await Promise.all(
    targets.map(async ({ id, context }) => {
      const secrets = [...access]
        .filter(([peer]) => peer !== id)
        .map(([peer, kubeconfig]) => peerSecret(peer, kubeconfig));
      if (secrets.length === 0) return;
      await kubectl.run(
        context,
        ["apply", "--server-side", "--force-conflicts", "-f", "-"],
        secrets.map((secret) => stringify(secret)).join("---\n"),
      );
      options.progress(`${id}: joined with ${[...access.keys()].filter((peer) => peer !== id).join(", ")}`);
    }),
  );
}

/** Waits until controllers and shared gateways of every cluster are available. */
export async function waitForMcWan(
  kubectl: Kubectl,
  targets: readonly InstallTarget[],
  timeoutMs: number,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  await Promise.all(
    targets.map(async ({ context }) => {
      for (const deployment of ["mc-wan-controller", "mc-wan-ingress", "mc-wan-egress"]) {
        const left = (): string => `${Math.max(1, Math.ceil((deadline - performance.now()) / 1000))}s`;
        await kubectl.run(context, [
          "wait",
          "-n",
          systemNamespace,
          "--for=create",
          `deployment/${deployment}`,
          `--timeout=${left()}`,
        ]);
        await kubectl.run(context, [
          "rollout",
          "status",
          "-n",
          systemNamespace,
          `deployment/${deployment}`,
          `--timeout=${left()}`,
        ]);
      }
    }),
  );
}

/** Not part of deploy/: Kubernetes deletes it with the account, and `kubectl delete -k` would then miss it. */
const tokenSecret = {
  apiVersion: "v1",
  kind: "Secret",
  metadata: {
    name: peerTokenSecret,
    namespace: systemNamespace,
    annotations: { "kubernetes.io/service-account.name": peerAccount },
  },
  type: "kubernetes.io/service-account-token",
};

/** A Secret as the controller takes it for a peer. */
function peerSecret(peer: string, kubeconfig: object): object {
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: `peer-${peer}`, namespace: systemNamespace, labels: { [labels.peer]: peer } },
    type: "Opaque",
    stringData: { kubeconfig: stringify(kubeconfig) },
  };
}

/** Reaches a cluster's API server at the address that it advertises, as its peers' Pods do. */
async function peerKubeconfig(kubectl: Kubectl, target: InstallTarget): Promise<object> {
  const [secret, slice] = await Promise.all([
    tokenOf(kubectl, target),
    kubectl.json(target.context, ["get", "endpointslice", "-n", "default", "kubernetes"]),
  ]);
  const { addresses, port } = advertised(slice);
  const name = `mc-wan-peer-${target.id}`;
  return {
    apiVersion: "v1",
    kind: "Config",
    "current-context": name,
    clusters: [
      {
        name,
        cluster: { server: `https://${addresses}:${port}`, "certificate-authority-data": secret.authority },
      },
    ],
    users: [{ name, user: { token: Buffer.from(secret.token, "base64").toString("utf8") } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
  };
}

function advertised(slice: unknown): { addresses: string; port: number } {
  const { endpoints, ports } = slice as { endpoints?: { addresses: string[] }[]; ports?: { port: number }[] };
  const address = endpoints?.[0]?.addresses[0];
  const port = ports?.[0]?.port;
  if (address === undefined || port === undefined)
    throw new Error("the API server advertises no address in default/kubernetes");
  return { addresses: address, port };
}

/** The token controller of Kubernetes fills the Secret in a moment after it was made. Values are base64. */
async function tokenOf(
  kubectl: Kubectl,
  target: InstallTarget,
): Promise<{ token: string; authority: string }> {
  const deadline = performance.now() + tokenTimeoutMs;
  for (;;) {
    const secret = (await kubectl.json(target.context, [
      "get",
      "secret",
      "-n",
      systemNamespace,
      peerTokenSecret,
    ])) as {
      data?: { token?: string; "ca.crt"?: string };
    };
    const { token, "ca.crt": authority } = secret.data ?? {};
    if (token !== undefined && authority !== undefined) return { token, authority };
    if (performance.now() > deadline)
      throw new Error(
        `${target.id}: no token in Secret ${systemNamespace}/${peerTokenSecret} after ${tokenTimeoutMs / 1000} s`,
      );
    await sleep(100);
  }
}
