/** `export`: ServiceExport created in one cluster → first 200 in another that neither exports the service nor named it. */
import { kinds } from "../src/model/kinds.ts";
import type { KubeObject } from "../src/model/kube-object.ts";
import { createAll, echoObjects, echoService, haveEndpoints } from "./cluster.ts";
import type { BenchLab } from "./cluster.ts";
import type { ExportResult, ExportTask } from "./export-prober.ts";
import { distribution, quantile, rounded } from "./measurement.ts";
import type { BenchContext, Figure, Measurement } from "./measurement.ts";
import { runInside } from "./run-inside.ts";

const namespace = "bench-exports";
const policies = [
  { name: "bench-high", tunnel: "business", port: 31_111, mode: "Plain" },
  { name: "bench-low", tunnel: "default", port: 31_112, mode: "Plain" },
];

/** The first cluster consumes, the second exports. */
export async function exports(
  { lab, clusters }: BenchLab,
  { progress, signal, quick }: BenchContext,
): Promise<Measurement> {
  const [consumer, exporter] = clusters;
  if (consumer === undefined || exporter === undefined) throw new Error("two clusters are needed");
  const services = Array.from({ length: quick ? 4 : 24 }, (_, index) => `service-${index}`);
  await Promise.all(
    clusters.map(async (cluster) => {
      const policyObjects = policies.map(({ name, ...spec }): KubeObject => ({
        apiVersion: kinds.WANPolicy.apiVersion,
        kind: "WANPolicy",
        metadata: { name },
        spec,
      }));
      const [namespaceObject, ...rest] = echoObjects(namespace);
      if (namespaceObject === undefined) return;
      await createAll(cluster, [namespaceObject, ...policyObjects], 1);
      if (cluster === exporter)
        await createAll(cluster, [...rest, ...services.map((name) => echoService(namespace, name))]);
    }),
  );
  await haveEndpoints(exporter, { namespace, services }, signal);
  // Policy ports open everywhere, and gateways tell that they listen, before the first export.
  await new Promise((resolve) => setTimeout(resolve, 5000));
  progress("export: Pods are ready");
  const results = await runInside<ExportResult[]>(
    lab,
    { cluster: consumer.id, program: "export-prober.ts", signal },
    {
      kubeconfig: lab.insideKubeconfig,
      exporter: lab.cluster(exporter.id).context,
      consumer: lab.cluster(consumer.id).context,
      namespace,
      policy: "bench-high",
      services,
      pollMs: 5,
      timeoutMs: 20_000,
      pauseMs: 500,
    } satisfies ExportTask,
  );
  const values = (of: (result: ExportResult) => number | undefined): number[] =>
    results.map(of).filter((value) => value !== undefined);
  const step = (name: string, of: (result: ExportResult) => number | undefined): Figure => ({
    name: `step: ${name} p50, ms`,
    value: rounded(quantile(values(of), 0.5)),
  });
  const firstOk = values(({ firstOkMs }) => firstOkMs);
  const before: Record<string, number> = {};
  for (const result of results)
    for (const [answer, count] of Object.entries(result.before))
      before[answer] = (before[answer] ?? 0) + count;
  return {
    benchmark: "export",
    title: "ServiceExport created → first 200 from another cluster, one at a time",
    figures: [
      ...distribution(firstOk, "ms", { target: 300 }),
      { name: "exports without a 200", value: results.length - firstOk.length, target: 0 },
      step("POST answered", ({ createdMs }) => createdMs),
      step("advertisement seen by another watch", ({ advertisedMs }) => advertisedMs),
      step("shadow Service seen in the consumer's cluster", ({ shadowMs }) => shadowMs),
      step("its EndpointSlice seen", ({ sliceMs }) => sliceMs),
      step("from the EndpointSlice to the first 200", ({ firstOkMs, sliceMs }) =>
        firstOkMs === undefined || sliceMs === undefined ? undefined : firstOkMs - sliceMs,
      ),
    ],
    notes: [
      `${clusters.length} clusters, ${results.length} exports, one HTTP port each (the direct path: client, shadow Service, ingress gateway of the other cluster, Pod)`,
      "asked at the shadow's clusterIP every 5 ms, a connection each; kube-proxy of the lab waits at least 10 ms between two changes (Kubernetes' default: 1 s)",
      `answers before the first 200: ${JSON.stringify(before)}`,
    ],
  };
}
