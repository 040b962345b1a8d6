/** `idle`: who writes to the API servers while nothing happens. Only Leases should be written. */
import { setTimeout as sleep } from "node:timers/promises";
import { keyOf } from "../src/model/kube-object.ts";
import { labels } from "../src/model/names.ts";
import { homeKinds } from "../src/model/world.ts";
import { controllerSamples, listAll, parseSamples, sumOf } from "./cluster.ts";
import type { BenchCluster, BenchLab, Samples } from "./cluster.ts";
import type { BenchContext, Measurement } from "./measurement.ts";

interface Standing {
  /** Writes by resource, as the API server counts them. */
  readonly requests: ReadonlyMap<string, number>;
  /** Writes of the controllers, as they count them. */
  readonly writes: number;
  /** Passes of the controllers. */
  readonly worlds: number;
  /** `kind namespace/name` → version of what mc-wan manages or writes statuses of. */
  readonly versions: ReadonlyMap<string, string>;
}

/** Not kept in etcd: a question, put as a POST. */
const questions = [
  "tokenreviews",
  "subjectaccessreviews",
  "selfsubjectreviews",
  "selfsubjectaccessreviews",
  "serviceaccounts/token",
];

export async function idle(
  { clusters }: BenchLab,
  { progress, signal, quick }: BenchContext,
): Promise<Measurement> {
  const seconds = quick ? 10 : 60;
  progress(`idle: settles for ${quick ? 5 : 20} s, then counts for ${seconds} s`);
  await sleep(quick ? 5000 : 20_000, undefined, { signal });
  const before = await Promise.all(clusters.map(look));
  await sleep(seconds * 1000, undefined, { signal });
  const after = await Promise.all(clusters.map(look));
  const byResource = new Map<string, number>();
  let writes = 0;
  let worlds = 0;
  let changed = 0;
  for (const [index, now] of after.entries()) {
    const then = before[index];
    if (then === undefined) continue;
    writes += now.writes - then.writes;
    worlds += now.worlds - then.worlds;
    for (const [key, version] of now.versions) if (then.versions.get(key) !== version) changed += 1;
    for (const key of then.versions.keys()) if (!now.versions.has(key)) changed += 1;
    for (const [resource, count] of now.requests) {
      const more = count - (then.requests.get(resource) ?? 0);
      if (more > 0) byResource.set(resource, (byResource.get(resource) ?? 0) + more);
    }
  }
  const all = [...byResource].sort(([, a], [, b]) => b - a);
  return {
    benchmark: "idle",
    title: `writes while nothing happens, ${seconds} s, ${clusters.length} clusters`,
    figures: [
      { name: "writes of the controllers, Leases apart", value: writes, target: 0 },
      { name: "objects of ours that changed", value: changed, target: 0 },
      { name: "passes of the controllers", value: worlds },
      {
        name: "writes of anybody, Leases apart",
        value: all.reduce((sum, [resource, count]) => sum + (resource.startsWith("leases") ? 0 : count), 0),
      },
      { name: "writes of Leases by anybody", value: byResource.get("leases") ?? 0 },
    ],
    notes: [
      `by resource, in all clusters: ${all.map(([resource, count]) => `${resource} ${count}`).join(", ") || "none"}`,
    ],
  };
}

async function look(cluster: BenchCluster): Promise<Standing> {
  const [page, controllers, versions] = await Promise.all([
    cluster.text("/metrics"),
    controllerSamples(cluster),
    versionsOf(cluster),
  ]);
  const sum = (metric: string): number =>
    [...controllers.values()].reduce((total, samples) => total + sumOf(samples, metric), 0);
  return {
    requests: writesByResource(parseSamples(page)),
    writes: sum("mcwan_writes_total"),
    worlds: sum("mcwan_worlds_total"),
    versions,
  };
}

function writesByResource(samples: Samples): Map<string, number> {
  const counts = new Map<string, number>();
  for (const [series, value] of samples) {
    if (!series.startsWith("apiserver_request_total{")) continue;
    const label = (name: string): string => new RegExp(`[{,]${name}="([^"]*)"`).exec(series)?.[1] ?? "";
    if (!["POST", "PUT", "PATCH", "APPLY", "DELETE"].includes(label("verb"))) continue;
    const resource = [label("resource"), label("subresource")].filter(Boolean).join("/");
    if (resource === "" || questions.includes(resource) || label("dry_run") !== "") continue;
    counts.set(resource, (counts.get(resource) ?? 0) + value);
  }
  return counts;
}

/** Versions of everything that carries our label, and of everything whose status we write. */
async function versionsOf(cluster: BenchCluster): Promise<Map<string, string>> {
  const versions = new Map<string, string>();
  await Promise.all(
    homeKinds.map(async (kind) => {
      const isStandard = [
        "Namespace",
        "Service",
        "EndpointSlice",
        "Endpoints",
        "ServiceAccount",
        "PodDisruptionBudget",
        "Deployment",
      ].includes(kind);
      // Read by mc-wan and written by others: a Node by its own heartbeat.
      if (["Pod", "Node", "CustomResourceDefinition", "EnvoyProxy"].includes(kind)) return;
      const selection = isStandard ? { labels: `${labels.managedBy}=${labels.managedByValue}` } : {};
      for (const { metadata } of await listAll(cluster, kind, selection))
        versions.set(`${kind} ${keyOf(metadata)}`, metadata.resourceVersion ?? "");
    }),
  );
  return versions;
}
