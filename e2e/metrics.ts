/** The controllers' own counters, as Prometheus would scrape them. */
import type { InstallTarget } from "../src/lab/install.ts";
import type { Environment } from "./environment.ts";

/** The sum of a counter over all controller Pods of a cluster, by its labels as they are printed. */
export async function controllerCounter(
  environment: Environment,
  cluster: InstallTarget,
  name: string,
): Promise<Map<string, number>> {
  const list = (await environment.kubectl.json(cluster.context, [
    "get",
    "pods",
    "-n",
    "mc-wan-system",
    "-l",
    "app.kubernetes.io/name=mc-wan-controller",
  ])) as { items: { metadata: { name: string; deletionTimestamp?: string } }[] };
  const sums = new Map<string, number>();
  for (const { metadata } of list.items.filter((pod) => pod.metadata.deletionTimestamp === undefined)) {
    const path = `/api/v1/namespaces/mc-wan-system/pods/${metadata.name}:8080/proxy/metrics`;
    const text = await environment.kubectl.run(cluster.context, ["get", "--raw", path]);
    for (const line of text.split("\n")) {
      const match = /^(\w+)(\{.*\})? ([0-9.e+-]+)$/.exec(line);
      if (match?.[1] !== name) continue;
      const labels = match[2] ?? "";
      sums.set(labels, (sums.get(labels) ?? 0) + Number(match[3]));
    }
  }
  return sums;
}
