/** The lab that the conformance suite runs in: one cluster with mc-wan, made for it, or one that is up (MCWAN_LAB). */
import { join } from "node:path";
import { installMcWan, waitForMcWan } from "../src/lab/install.ts";
import { kubectl, type Kubectl } from "../src/lab/kubectl.ts";
import { openLab, startLab, type Lab, type LabCluster } from "../src/lab/lab.ts";
import { UsageError } from "../src/model/errors.ts";

const manifests = join(import.meta.dirname, "../deploy");
const readyTimeoutMs = 120_000;

/** A cluster to run the suite in. */
export interface ConformanceLab {
  readonly lab: Lab;
  readonly kubectl: Kubectl;
  readonly cluster: LabCluster;
  /** Ends the lab if it was made for this. */
  readonly close: () => Promise<void>;
}

interface LabOptions {
  readonly progress: (line: string) => void;
  /** Of a lab that is made: always the same for one purpose, so that the next run clears what a killed one left. */
  readonly runDir: string;
  readonly signal?: AbortSignal;
}

/** Opens the lab of MCWAN_LAB, or makes one and installs mc-wan. @throws UsageError when MCWAN_LAB names none that is up. */
export async function openConformanceLab(options: LabOptions): Promise<ConformanceLab> {
  const runDir = process.env["MCWAN_LAB"];
  if (runDir === undefined || runDir === "") return await makeLab(options);
  const lab = await openLab(runDir);
  if (lab === undefined)
    throw new UsageError(
      `no lab is up in ${runDir}: \`MCWAN_RUN=${runDir} mcwan lab up --clusters 1\` starts one`,
    );
  await install(lab, options.progress);
  return { ...clusterOf(lab), close: () => Promise.resolve() };
}

async function makeLab({ progress, runDir, signal }: LabOptions): Promise<ConformanceLab> {
  const lab = await startLab({
    runDir,
    clusters: ["c1"],
    signal,
    onProgress: progress,
    install: async (started) => {
      await install(started, progress);
    },
  });
  return { ...clusterOf(lab), close: () => lab.stop() };
}

/** Also into a lab that has it: what is in deploy/ may have changed since. */
async function install(lab: Lab, progress: (line: string) => void): Promise<void> {
  const { kubectl: client } = clusterOf(lab);
  // The suite has HTTPS listeners and BackendTLSPolicies.
  await installMcWan(client, lab.clusters, { manifests, components: ["https-gateways"], progress });
  await waitForMcWan(client, lab.clusters, readyTimeoutMs);
}

function clusterOf(lab: Lab): Omit<ConformanceLab, "close"> {
  const [cluster] = lab.clusters;
  if (cluster === undefined) throw new Error("the lab has no cluster");
  return { lab, kubectl: kubectl(lab.program("kubectl"), lab.kubeconfig), cluster };
}
