/**
 * `peers` and `scale`: what peers cost a controller: memory, how soon it follows a change of one of them, and what it writes when many
 * join and when a gateway is replaced.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { obtainBinaries } from "../src/lab/binaries/binaries.ts";
import type { ClusterSetTask, Settling, Stage } from "./cluster-set-inside.ts";
import { distribution, rounded } from "./measurement.ts";
import type { BenchContext, Figure, Measurement } from "./measurement.ts";
import { runInPrivateNetwork } from "./private-network.ts";

const memoryTargetMiB = 5;

type Sizes = Omit<ClusterSetTask, "folder">;

async function measured(sizes: Sizes, { progress, signal }: BenchContext): Promise<Stage[]> {
  await obtainBinaries(["etcd", "kube-apiserver", "kubectl"], { progress, signal });
  const folder = await mkdtemp(join(tmpdir(), "mc-wan-bench-"));
  try {
    return await runInPrivateNetwork<Stage[]>(
      { program: "cluster-set-inside.ts", address: "198.18.0.9/32", folder, progress, signal },
      { ...sizes, folder } satisfies ClusterSetTask,
    );
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

const settlingFigures = (what: string, { settledMs, writes, cpuMs }: Settling): Figure[] => [
  { name: `${what}: settled after, s`, value: rounded(settledMs / 1000) },
  { name: `${what}: writes`, value: writes },
  { name: `${what}: CPU of the controller, s`, value: rounded(cpuMs / 1000) },
];

const how =
  "every cluster is a real kube-apiserver with an etcd; one controller, PodIP, --dummy-endpoints Referenced; settled: the last write before three seconds without one";

/** From one peer to many, each with its own exports. */
export async function peers(context: BenchContext): Promise<Measurement> {
  const stages = await measured(
    context.quick
      ? { stages: [1, 2], exports: 10, areShared: false, policies: 2, changes: 6 }
      : { stages: [1, 5, 10, 20], exports: 100, areShared: false, policies: 2, changes: 40 },
    context,
  );
  const [first] = stages;
  const last = stages.at(-1);
  const growth =
    first === undefined || last === undefined
      ? Number.NaN
      : (last.memory.rssMiB - first.memory.rssMiB) / (last.peers - first.peers);
  return {
    benchmark: "peers",
    title: "what each further peer costs",
    figures: [
      { name: "memory for each peer more, RSS, MiB", value: rounded(growth), target: memoryTargetMiB },
      ...stages.flatMap(({ peers: count, memory, changedMs }) => [
        { name: `${count} peers: RSS, MiB`, value: memory.rssMiB },
        ...distribution(changedMs, "ms", { prefix: `${count} peers: a change of one is followed: ` }),
      ]),
    ],
    notes: [
      how,
      "a change: a service of one peer loses its last ready backend, or gets one; followed: home's EndpointSlice says so",
    ],
  };
}

/** Many services that all clusters export. */
export async function scale(context: BenchContext): Promise<Measurement> {
  const sizes = context.quick
    ? { stages: [2], exports: 50, areShared: true, policies: 5, changes: 6 }
    : { stages: [9], exports: 1000, areShared: true, policies: 5, changes: 40 };
  const [stage] = await measured(sizes, context);
  if (stage === undefined) throw new Error("nothing was measured");
  return {
    benchmark: "scale",
    title: `${stage.peers + 1} clusters, ${sizes.exports} services that ${stage.peers} of them export, ${sizes.policies} policies`,
    figures: [
      ...settlingFigures("joined", stage.joined),
      { name: "memory, RSS, MiB", value: stage.memory.rssMiB },
      ...distribution(stage.changedMs, "ms", { prefix: "a change of one export is followed: " }),
      ...settlingFigures("a gateway is replaced", stage.gatewayReplaced),
    ],
    notes: [how],
  };
}
