/** `unready`: a Pod leaves → nobody asks it any more, from its own cluster and from another. */
import type { BenchLab } from "./cluster.ts";
import { openFaultRig } from "./fault-clusters.ts";
import { distribution } from "./measurement.ts";
import type { BenchContext, Measurement } from "./measurement.ts";
import { runInside } from "./run-inside.ts";
import type { UnreadyResult, UnreadyTask } from "./unready-prober.ts";

const ratePerSecond = 100;

/** In a lab of three clusters. */
export async function unready(
  { lab }: BenchLab,
  { progress, signal, quick }: BenchContext,
): Promise<Measurement[]> {
  const { rig, close } = await openFaultRig(lab, { ratePerSecond, signal });
  const rounds = quick ? 3 : 50;
  try {
    const measured: Measurement[] = [];
    for (const [where, client] of [
      ["another cluster", rig.consumer],
      ["its own cluster", rig.exporter],
    ] as const) {
      const results = await runInside<UnreadyResult[]>(
        lab,
        { cluster: client, program: "unready-prober.ts", signal },
        {
          kubeconfig: lab.insideKubeconfig,
          context: lab.cluster(rig.exporter).context,
          ...rig.backends,
          url: await rig.urlIn(client),
          host: rig.host,
          ratePerSecond,
          rounds,
        } satisfies UnreadyTask,
      );
      progress(`unready: ${rounds} Pods have left, asked from ${where}`);
      const failures: Record<string, number> = {};
      for (const { failed } of results)
        for (const [status, count] of Object.entries(failed))
          failures[status] = (failures[status] ?? 0) + count;
      const unasked = results.filter(({ wasAsked }) => !wasAsked).length;
      const requests = results.reduce((sum, one) => sum + one.requests, 0);
      const times = distribution(
        results.map(({ lastAskedMs }) => lastAskedMs),
        "ms",
      );
      measured.push({
        benchmark: "unready",
        title: `a Pod leaves → the last request that it gets from ${where}`,
        figures: [
          ...times.map((figure) => (figure.name.startsWith("p99") ? { ...figure, target: 1_000 } : figure)),
          {
            name: "requests that failed",
            value: Object.values(failures).reduce((sum, count) => sum + count, 0),
            target: 0,
          },
          { name: "Pods that were never asked", value: unasked, target: 0 },
        ],
        notes: [
          `${rounds} Pods, ${requests} GETs at ${ratePerSecond}/s through the egress gateway`,
          `failures by status (0: none): ${JSON.stringify(failures)}`,
        ],
      });
    }
    return measured;
  } finally {
    await close();
  }
}
