/**
 * Where scenarios run: a lab made for them, or clusters that a person names by context.
 *
 *     --contexts a,b,c (or MCWAN_CONTEXTS) [KUBECONFIG=…] → those clusters
 *     MCWAN_LAB=<run folder>              → a lab that is up, and stays up
 *     otherwise                           → a lab of three clusters, ended afterwards
 *
 * On clusters that are not the lab's there are no link counters: claims that need them are skipped, and say so.
 */
import { homedir, tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { findBinary } from "../src/lab/binaries/binaries.ts";
import { installMcWan, waitForMcWan } from "../src/lab/install.ts";
import type { InstallTarget } from "../src/lab/install.ts";
import { kubectl } from "../src/lab/kubectl.ts";
import type { Kubectl } from "../src/lab/kubectl.ts";
import { openLab, startLab } from "../src/lab/lab.ts";
import type { Lab } from "../src/lab/lab.ts";

/** Clusters with mc-wan in them. The first consumes; the others export. */
export interface Environment {
  readonly kubectl: Kubectl;
  /** Path of the kubeconfig that holds the contexts. */
  readonly kubeconfig: string;
  readonly clusters: readonly InstallTarget[];
  readonly consumer: InstallTarget;
  readonly exporters: readonly InstallTarget[];
  /** Set where the clusters are a lab's. */
  readonly lab: Lab | undefined;
  readonly close: () => Promise<void>;
}

const repository = join(import.meta.dirname, "..");
/** The manifests that every cluster gets, lab or not. */
export const manifests = join(repository, "deploy");
/** The folder of an example. */
export const exampleFolder = (name: string): string => join(repository, "examples", name);

const readyTimeoutMs = 120_000;

/** Opens the clusters of MCWAN_CONTEXTS, or makes a lab; installs mc-wan and waits for it. */
export async function openEnvironment(options: {
  readonly progress: (line: string) => void;
  /** The lab's run folder, where a lab is made. */
  readonly runDir: string;
  /** Ends what is under way, and the lab with it. */
  readonly signal?: AbortSignal;
}): Promise<Environment> {
  const contexts = contextsAsked(process.argv, process.env["MCWAN_CONTEXTS"]);
  const labUp = process.env["MCWAN_LAB"];
  const base =
    contexts.length > 0
      ? namedClusters(contexts)
      : labUp === undefined
        ? await labClusters(options)
        : await labThatIsUp(labUp);
  const [consumer, ...exporters] = base.clusters;
  if (consumer === undefined || exporters.length < 2) {
    await base.close();
    throw new Error("the scenarios need three clusters: one that consumes, two that export");
  }
  try {
    const install = async (): Promise<void> => {
      await installMcWan(base.kubectl, base.clusters, { manifests, progress: options.progress });
      await waitForMcWan(base.kubectl, base.clusters, readyTimeoutMs);
    };
    await Promise.race([install(), aborted(options.signal)]);
    options.progress("controllers and gateways are ready");
  } catch (error) {
    await base.close();
    throw error;
  }
  return { ...base, consumer, exporters };
}

/** Rejects when the signal is given; never fulfils. */
function aborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal?.addEventListener("abort", () => {
      reject(new Error("interrupted"));
    });
  });
}

/** The contexts of `--contexts a,b,c` (or `--contexts=a,b,c`), else of the environment's variable; none: a lab. */
function contextsAsked(words: readonly string[], variable = ""): string[] {
  const at = words.findIndex((word) => word === "--contexts" || word.startsWith("--contexts="));
  const list = at < 0 ? variable : (words[at]?.split("=")[1] ?? words[at + 1] ?? "");
  return list.split(",").filter((context) => context !== "");
}

type Base = Omit<Environment, "consumer" | "exporters">;

function namedClusters(contexts: readonly string[]): Base {
  const program = findBinary("kubectl") ?? "kubectl";
  const kubeconfig = process.env["KUBECONFIG"] ?? join(homedir(), ".kube", "config");
  return {
    kubectl: kubectl(program, kubeconfig),
    kubeconfig,
    clusters: contexts.map((context) => ({ id: context.replace(/^(kind-|mcwan-)/, ""), context })),
    lab: undefined,
    close: () => Promise.resolve(),
  };
}

async function labThatIsUp(runDir: string): Promise<Base> {
  const lab = await openLab(runDir);
  if (lab === undefined)
    throw new Error(`no lab is up in ${runDir}: \`MCWAN_RUN=${runDir} mcwan lab up\` starts one`);
  return baseOf(lab, () => Promise.resolve());
}

function baseOf(lab: Lab, close: () => Promise<void>): Base {
  return {
    kubectl: kubectl(lab.program("kubectl"), lab.kubeconfig),
    kubeconfig: lab.kubeconfig,
    clusters: lab.clusters.map(({ id, context }) => ({ id, context })),
    lab,
    close,
  };
}

async function labClusters(options: {
  readonly progress: (line: string) => void;
  readonly runDir: string;
  readonly signal?: AbortSignal;
}): Promise<Base> {
  const { runDir, signal } = options;
  const lab = await startLab({ runDir, signal, onProgress: options.progress });
  return baseOf(lab, () => lab.stop());
}

/** The run folder of a lab for one purpose: always the same, so that the next run clears what a killed one left. */
export function runDirFor(purpose: "demo" | "e2e"): string {
  return join(tmpdir(), `mc-wan-${purpose}-${userInfo().uid}`);
}
