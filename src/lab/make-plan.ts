/**
 * Decides what a lab is to be: the plan of what was asked for, with defaults for the rest, and the files that the inside starts from.
 */
import { existsSync, readdirSync } from "node:fs";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { UsageError } from "../model/errors.ts";
import { clusterAddresses, MAX_CLUSTERS } from "./address-plan.ts";
import type { LabBinaryName } from "./binaries/binaries.ts";
import { labFiles, type ClusterPlan, type LabPlan, type TunnelPlan } from "./lab-plan.ts";
import { linksAtUp } from "./sdwan/link-change.ts";

/** The part of a lab's options that makes its plan. */
export interface PlanOptions {
  /** Cluster ids in order, DNS labels; default c1, c2, c3. */
  readonly clusters?: readonly string[];
  /** Default: `business` and `default`, unlimited. */
  readonly tunnels?: readonly TunnelPlan[];
  /** Whether there are Nodes, and so Pods; default true. */
  readonly nodes?: boolean;
  /** The node agents' image map (`node-agent/images.ts`). */
  readonly imagesFile?: string | undefined;
}

/** The tunnels where nothing else is said: one with guarantees, one without. */
export const DEFAULT_TUNNELS: readonly TunnelPlan[] = [{ name: "business" }, { name: "default" }];

const CRD_FOLDERS = ["gateway-api", "mcs-api", "about-api"];
const SOURCE_DIR = resolve(import.meta.dirname, "..");

/** The cluster ids of a lab, default c1, c2, c3. Throws UsageError for too many, or for one that can't be an id. */
export function checkedIds(ids: readonly string[] = ["c1", "c2", "c3"]): readonly string[] {
  if (ids.length < 1 || ids.length > MAX_CLUSTERS)
    throw new UsageError(`a lab has 1 to ${MAX_CLUSTERS} clusters, not ${ids.length}`);
  const bad = ids.find(
    (id, index) => !/^[a-z0-9]([-a-z0-9]{0,28}[a-z0-9])?$/.test(id) || ids.indexOf(id) !== index,
  );
  if (bad !== undefined)
    throw new UsageError(
      `"${bad}" can't be a cluster's id: each is another DNS label of at most 30 characters`,
    );
  return ids;
}

/** The whole plan of a lab. `ids` and `ports` are of the same length. */
export function makePlan(from: {
  runDir: string;
  ids: readonly string[];
  ports: readonly number[];
  binaries: Readonly<Record<LabBinaryName, string>>;
  options: PlanOptions;
}): LabPlan {
  const { runDir, ids, ports, binaries, options } = from;
  const clusters = ids.map((id, index): ClusterPlan => {
    const number = index + 1;
    return {
      id,
      number,
      addresses: clusterAddresses(number),
      nodeName: `${id}-node`,
      context: `mcwan-${id}`,
      hostPort: ports[index] ?? 0,
    };
  });
  return {
    runDir,
    cacheDir: join(runDir, "bin"),
    sourceDir: SOURCE_DIR,
    clusters,
    tunnels: options.tunnels ?? DEFAULT_TUNNELS,
    programs: {
      etcd: binaries.etcd,
      kubeApiserver: binaries["kube-apiserver"],
      kubeControllerManager: binaries["kube-controller-manager"],
      kubeProxy: binaries["kube-proxy"],
      coredns: binaries.coredns,
      kubectl: binaries.kubectl,
      nft: binaries.nft,
    },
    crdFiles: crdFiles(join(SOURCE_DIR, "..", "crds")),
    imagesFile: options.imagesFile === undefined ? undefined : resolve(options.imagesFile),
    nodes: options.nodes ?? true,
  };
}

/** Writes the plan, and a folder of programs by their plain names: for PATH, and for node agents. */
export async function writePlan(
  plan: LabPlan,
  binaries: Readonly<Record<LabBinaryName, string>>,
): Promise<void> {
  await mkdir(labFiles(plan.runDir).logDir, { recursive: true });
  await mkdir(plan.cacheDir, { recursive: true });
  await writeFile(labFiles(plan.runDir).plan, JSON.stringify(plan, undefined, 2));
  await writeFile(labFiles(plan.runDir).links, JSON.stringify(linksAtUp(plan)));
  await Promise.all(
    Object.entries(binaries).map(async ([name, path]) => {
      const link = join(plan.cacheDir, name);
      // A script finds its libraries beside itself, so it must be called by its own name.
      if (name === "nft") await writeFile(link, `#!/bin/sh\nexec '${path}' "$@"\n`, { mode: 0o755 });
      else await symlink(path, link);
    }),
  );
}

function crdFiles(folder: string): string[] {
  const files = CRD_FOLDERS.map((name) => join(folder, name)).flatMap((path) =>
    existsSync(path)
      ? readdirSync(path)
          .filter((name) => name.endsWith(".yaml") && !name.startsWith("kustomization"))
          .map((name) => join(path, name))
      : [],
  );
  if (files.length === 0) throw new Error(`no CRDs in ${folder}`);
  return files;
}
