/** An example of examples/ in the clusters: its parts `all`, `exporter` and `consumer`, each a kustomization. */
import { join } from "node:path";
import type { InstallTarget } from "../src/lab/install.ts";
import { exampleFolder } from "./environment.ts";
import type { Environment } from "./environment.ts";

/** A Deployment in a cluster. */
export interface Workload {
  readonly cluster: InstallTarget;
  readonly namespace: string;
  readonly deployment: string;
}

/** Applies each part where it belongs. Pods may still be starting when it returns. */
export async function applyExample(environment: Environment, name: string): Promise<void> {
  const { kubectl, clusters, consumer, exporters } = environment;
  const apply = (cluster: InstallTarget, part: string): Promise<string> =>
    kubectl.run(cluster.context, ["apply", "--server-side", "-k", join(exampleFolder(name), part)]);
  await Promise.all(clusters.map((cluster) => apply(cluster, "all")));
  await Promise.all([...exporters.map((cluster) => apply(cluster, "exporter")), apply(consumer, "consumer")]);
}

/** Deletes all of it, namespaces too, and waits until it is gone. */
export async function deleteExample(environment: Environment, name: string): Promise<void> {
  await Promise.all(
    environment.clusters.map(async ({ context }) => {
      for (const part of ["consumer", "exporter", "all"]) {
        await environment.kubectl.attempt(context, [
          "delete",
          "--ignore-not-found",
          "--timeout=60s",
          "-k",
          join(exampleFolder(name), part),
        ]);
      }
    }),
  );
}

export async function scale(environment: Environment, workload: Workload, replicas: number): Promise<void> {
  await environment.kubectl.run(workload.cluster.context, [
    "scale",
    "-n",
    workload.namespace,
    `deployment/${workload.deployment}`,
    `--replicas=${replicas}`,
  ]);
}

/** Waits until all Pods of the workload are ready. */
export async function rollout(environment: Environment, workload: Workload): Promise<void> {
  await environment.kubectl.run(workload.cluster.context, [
    "rollout",
    "status",
    "-n",
    workload.namespace,
    `deployment/${workload.deployment}`,
    "--timeout=90s",
  ]);
}
