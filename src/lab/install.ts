/**
 * Installs mc-wan into clusters and makes them peers of each other, by kubeconfig context: the same for the lab's
 * clusters, kind's and real ones.
 *
 *     deploy/ → kubectl apply -k → every cluster → join
 *
 * Never writes to a cluster's other namespaces, never waits without a bound.
 */
import { join as pathJoin } from "node:path";
import { join } from "../clusterset/join.ts";
import { openMembers } from "../clusterset/open-members.ts";
import { systemNamespace } from "../model/names.ts";
import type { Kubectl } from "./kubectl.ts";

/** One cluster to install into. */
export interface InstallTarget {
  /** The cluster's id in the cluster set. */
  readonly id: string;
  /** The context in the kubeconfig. */
  readonly context: string;
}

const joinTimeoutMs = 60_000;

/** Applies `deploy/` everywhere and joins the clusters. Gateways may still be starting when it returns. */
export async function installMcWan(
  kubectl: Kubectl,
  targets: readonly InstallTarget[],
  options: {
    readonly manifests: string;
    /** Folders below `manifests`/components, applied with them. */
    readonly components?: readonly string[];
    readonly progress: (line: string) => void;
  },
): Promise<void> {
  const components = (options.components ?? []).map((name) =>
    pathJoin(options.manifests, "components", name),
  );
  await Promise.all(
    targets.map(async ({ id, context }) => {
      for (const folder of [options.manifests, ...components])
        await kubectl.run(context, ["apply", "--server-side", "--force-conflicts", "-k", folder]);
      options.progress(`${id}: mc-wan applied`);
    }),
  );
  if (targets.length < 2) return;
  const open = await openMembers({
    contexts: targets.map(({ context }) => context),
    kubeconfig: kubectl.kubeconfig,
    ids: Object.fromEntries(targets.map(({ context, id }) => [context, id])),
  });
  try {
    const signal = AbortSignal.timeout(joinTimeoutMs);
    await join(open.members, {
      isDryRun: false,
      rotate: false,
      replace: false,
      step: () => undefined,
      signal,
    });
  } finally {
    await open.close();
  }
  options.progress(`joined: ${targets.map(({ id }) => id).join(", ")}`);
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
