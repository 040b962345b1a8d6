/**
 * A namespace for claims about the Multi-Cluster Services API: each makes services of names of its own in it, and asks the API
 * servers themselves what came of them. The Pods are those of the official conformance suite: socat that answers with its address, and
 * one with nslookup and nc to ask from.
 */
import { homeAccess } from "../src/drivers/kube/kubeconfig.ts";
import { KubeClient } from "../src/drivers/kube/kube-client.ts";
import type { InstallTarget } from "../src/lab/install.ts";
import { kinds } from "../src/model/kinds.ts";
import type { KindInfo } from "../src/model/kinds.ts";
import { eventually, must } from "./claim.ts";
import type { Environment } from "./environment.ts";
import { namespace, wanPolicy } from "./manifests.ts";
import { mcsNamespace, requestPod } from "./mcs-manifests.ts";
import { applyObjects } from "./mistake.ts";
import type { Manifest } from "./mistake.ts";
import type { SeenCondition } from "./objects.ts";

/** How long the official suite waits, and so how long these claims do at most. */
export const suiteWaitMs = 20_000;
/** For how long something that must not come is looked for; the suite takes 5 s. */
const neverMs = 2_500;

/** An MCS ServiceImport as it stands, in either version: they have the same fields. */
export interface SeenImport {
  readonly metadata: {
    readonly uid: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: {
    readonly type: string;
    readonly ips?: readonly string[];
    readonly ipFamilies?: readonly string[];
    readonly ports?: readonly SeenPort[];
    readonly sessionAffinity?: string;
    readonly sessionAffinityConfig?: unknown;
    readonly internalTrafficPolicy?: string;
    readonly trafficDistribution?: string;
  };
  readonly status?: { readonly clusters?: readonly { readonly cluster: string }[] };
}
interface SeenPort {
  readonly name?: string;
  readonly protocol?: string;
  readonly port: number;
  readonly appProtocol?: string;
}

/** An EndpointSlice as it stands. */
export interface SeenSlice {
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly addressType: string;
  readonly endpoints: readonly {
    readonly addresses: readonly string[];
    readonly hostname?: string;
    readonly conditions: { readonly ready?: boolean };
  }[];
}

const clients = new WeakMap<Environment, Map<string, Promise<KubeClient>>>();

/** The API of a cluster: kubectl would take longer than what is waited for. */
function apiOf(environment: Environment, { context }: InstallTarget): Promise<KubeClient> {
  const known = clients.get(environment) ?? new Map<string, Promise<KubeClient>>();
  clients.set(environment, known);
  const client =
    known.get(context) ??
    homeAccess({ kubeconfig: environment.kubeconfig, context }).then((access) => new KubeClient(access));
  known.set(context, client);
  return client;
}

/** Ends the connections that {@link apiOf} has opened. */
async function closeApis(environment: Environment): Promise<void> {
  for (const client of clients.get(environment)?.values() ?? []) await (await client).close();
  clients.delete(environment);
}

/** An object of the claims' namespace; undefined if it isn't there. */
export async function seen(
  environment: Environment,
  cluster: InstallTarget,
  { kind, name }: { readonly kind: KindInfo; readonly name: string },
): Promise<unknown> {
  return await (await apiOf(environment, cluster)).get(kind, { namespace: mcsNamespace, name });
}

/** The import of a service in a cluster. */
export async function importIn(
  environment: Environment,
  cluster: InstallTarget,
  name: string,
): Promise<SeenImport | undefined> {
  return (await seen(environment, cluster, { kind: kinds.McsServiceImport, name })) as SeenImport | undefined;
}

/** Waits until every one of the clusters (all, if none are named) has an import that is as asked; gives them in that order. */
export async function importsThat(
  environment: Environment,
  name: string,
  asked: {
    readonly what: string;
    readonly holds?: (found: SeenImport) => boolean;
    readonly in?: readonly InstallTarget[];
  },
): Promise<SeenImport[]> {
  const { what, holds = () => true, in: clusters = environment.clusters } = asked;
  const found: SeenImport[] = [];
  for (const cluster of clusters) {
    let last: SeenImport | undefined;
    const { value } = await eventually(
      `${what} at the import of ${name} in ${cluster.id}`,
      suiteWaitMs,
      async () => {
        last = await importIn(environment, cluster, name);
        return last !== undefined && holds(last) ? last : undefined;
      },
    ).catch((error: unknown) => {
      throw new Error(`${error instanceof Error ? error.message : ""}; it is ${JSON.stringify(last?.spec)}`, {
        cause: error,
      });
    });
    found.push(value);
  }
  return found;
}

/** Waits until no cluster has an import of the service. */
export async function noImports(environment: Environment, name: string): Promise<void> {
  for (const cluster of environment.clusters)
    await eventually(`the end of the import of ${name} in ${cluster.id}`, suiteWaitMs, async () =>
      (await importIn(environment, cluster, name)) === undefined ? true : undefined,
    );
}

/** Holds that something stays as it is for a while. */
export async function stays(what: string, ask: () => Promise<boolean>): Promise<void> {
  const until = performance.now() + neverMs;
  while (performance.now() < until) {
    must(await ask(), `${what} did not stay so`, {});
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Waits for a condition of a ServiceExport. */
export async function exportCondition(
  environment: Environment,
  at: { readonly cluster: InstallTarget; readonly name: string },
  asked: { readonly type: string; readonly status: "True" | "False"; readonly reason?: string },
): Promise<SeenCondition> {
  const { type, status, reason } = asked;
  const { value } = await eventually(
    `${type}=${status} ${reason ?? ""} at the export ${at.name} in ${at.cluster.id}`,
    suiteWaitMs,
    async () => {
      const object = (await seen(environment, at.cluster, { kind: kinds.ServiceExport, name: at.name })) as
        { status?: { conditions?: SeenCondition[] } } | undefined;
      const found = object?.status?.conditions?.find((condition) => condition.type === type);
      const isAsked =
        found?.status === status && (reason === undefined || found.reason.split(",").includes(reason));
      return isAsked ? found : undefined;
    },
  );
  return value;
}

/** The MCS slices of a service in a cluster. */
export async function mcsSlicesIn(
  environment: Environment,
  cluster: InstallTarget,
  name: string,
): Promise<SeenSlice[]> {
  const { items } = await (
    await apiOf(environment, cluster)
  ).list(kinds.EndpointSlice, {
    namespace: mcsNamespace,
    labels: `multicluster.kubernetes.io/service-name=${name}`,
    signal: AbortSignal.timeout(10_000),
  });
  return items as SeenSlice[];
}

/** Runs a shell command in the cluster's Pod to ask from; what it printed, whatever its exit code. */
export async function ask(
  environment: Environment,
  cluster: InstallTarget,
  command: string,
): Promise<string> {
  const { stdout } = await environment.kubectl.attempt(cluster.context, [
    ...["exec", "-n", mcsNamespace, "request", "--", "sh", "-c", command],
  ]);
  return stdout;
}

/** Applies objects in a cluster. */
export const applyIn = (
  environment: Environment,
  cluster: InstallTarget,
  ...objects: readonly Manifest[]
): Promise<void> => applyObjects(environment, { in: cluster, objects });

/** Deletes exports of the claims' namespace, without waiting for what follows. */
export async function unexport(
  environment: Environment,
  cluster: InstallTarget,
  name: string,
): Promise<void> {
  await environment.kubectl.run(cluster.context, [
    "delete",
    "serviceexports.multicluster.x-k8s.io",
    "-n",
    mcsNamespace,
    name,
  ]);
}

/** The default policy: exports that name none are carried. */
const defaultPolicy: Manifest = {
  ...wanPolicy("mcs-default", { tunnel: "default", port: 31_142, mode: "Plain" }),
  metadata: { name: "mcs-default", annotations: { "mc-wan.l7mp.io/default": "true" } },
};

/** Makes the namespace, a policy that holds by default and the Pods to ask from, in every cluster. */
export async function openMcsNamespace(environment: Environment): Promise<void> {
  await Promise.all(
    environment.clusters.map(async (cluster) => {
      await applyIn(environment, cluster, namespace(mcsNamespace), defaultPolicy);
      await applyIn(environment, cluster, requestPod);
      await environment.kubectl.run(cluster.context, [
        ...["wait", "-n", mcsNamespace, "--for=condition=Ready", "pod/request", "--timeout=60s"],
      ]);
    }),
  );
}

/** Deletes all of it; fulfils when it is gone. */
export async function closeMcsNamespace(environment: Environment): Promise<void> {
  await closeApis(environment);
  await Promise.all(
    environment.clusters.map(async ({ context }) => {
      await environment.kubectl.attempt(context, [
        "delete",
        "--ignore-not-found",
        "--timeout=90s",
        "namespace",
        mcsNamespace,
      ]);
      await environment.kubectl.attempt(context, [
        "delete",
        "--ignore-not-found",
        "wanpolicy",
        "mcs-default",
      ]);
    }),
  );
}
