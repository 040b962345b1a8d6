/**
 * What a lab is to be, decided before anything runs: the JSON that `lab.ts` (on the host) hands to `inside/main.ts` (in the namespaces).
 * Holds no secrets: tokens and keys are made inside and stay in the run folder.
 */
import { join } from "node:path";
import {
  CONTROL_PLANE,
  controlPlaneLinks,
  tunnelLinks,
  type ClusterAddresses,
  type Link,
  type LinkEnd,
} from "./address-plan.ts";

/** Absolute paths of the programs that a lab runs. */
interface LabPrograms {
  readonly etcd: string;
  readonly kubeApiserver: string;
  readonly kubeControllerManager: string;
  readonly kubeProxy: string;
  readonly coredns: string;
  readonly kubectl: string;
  readonly nft: string;
}

/** What a tunnel's links are like; a field that is left out is not limited. */
export interface TunnelQuality {
  /** Megabits per second, each direction. */
  readonly rateMbit?: number;
  /** One way, milliseconds. */
  readonly delayMs?: number;
  readonly jitterMs?: number;
  readonly lossPercent?: number;
}

/** A tunnel of the lab's SD-WAN: one link between each pair of clusters. `name` is what WANPolicies call it. */
export interface TunnelPlan extends TunnelQuality {
  readonly name: string;
}

/** One cluster. */
export interface ClusterPlan {
  /** The cluster's id (its ClusterProperty) and the name of its network namespace. */
  readonly id: string;
  /** Counted from 1; what the addresses come from. */
  readonly number: number;
  readonly addresses: ClusterAddresses;
  readonly nodeName: string;
  /** The name of the cluster's context, cluster and user in the kubeconfig. */
  readonly context: string;
  /** The API server's port on the host's 127.0.0.1. */
  readonly hostPort: number;
}

/** The whole lab. */
export interface LabPlan {
  readonly runDir: string;
  /** Folder of the lab's programs, for node agents. */
  readonly cacheDir: string;
  /** Folder of mc-wan's sources: node agents run from it. */
  readonly sourceDir: string;
  readonly clusters: readonly ClusterPlan[];
  readonly tunnels: readonly TunnelPlan[];
  readonly programs: LabPrograms;
  /** YAML files that are applied to every cluster before it counts as ready. */
  readonly crdFiles: readonly string[];
  /** The node agents' image map; undefined: built-in names only. */
  readonly imagesFile: string | undefined;
  /** Whether Nodes and node agents are wanted; without them a cluster has no Pods. */
  readonly nodes: boolean;
}

/** The files of a lab in its run folder. */
export interface LabFiles {
  readonly plan: string;
  readonly state: string;
  /** For the host: API servers at 127.0.0.1. */
  readonly kubeconfig: string;
  /** For processes in the lab's namespaces: API servers at 198.18.N.1. */
  readonly insideKubeconfig: string;
  /** What the links are to be like; written by whoever changes it, read by the inside. */
  readonly links: string;
  /** What they are like; written by the inside. */
  readonly linkStatus: string;
  /** The policy ports in force; written by the SD-WAN driver. */
  readonly sdwanPorts: string;
  readonly logDir: string;
}

/** Where a lab's files are. */
export function labFiles(runDir: string): LabFiles {
  return {
    plan: join(runDir, "plan.json"),
    state: join(runDir, "state.json"),
    kubeconfig: join(runDir, "kubeconfig"),
    insideKubeconfig: join(runDir, "inside.kubeconfig"),
    links: join(runDir, "links.json"),
    linkStatus: join(runDir, "link-status.json"),
    sdwanPorts: join(runDir, "sdwan-ports.json"),
    logDir: join(runDir, "log"),
  };
}

/** A line of the progress pipe, as JSON. */
export type ProgressLine =
  | { readonly kind: "step"; readonly text: string; readonly cluster?: string }
  | { readonly kind: "ready" }
  | { readonly kind: "failed"; readonly message: string };

/** File descriptor of the progress pipe in the lab's first process; the listening sockets of the clusters follow it in order. */
export const PROGRESS_FD = 3;

/** What the links of a lab depend on. */
type Linked = Pick<LabPlan, "clusters" | "tunnels">;

/** All links of a lab: tunnels and those of the control planes. */
export function linksOf(plan: Linked): Link[] {
  const clusters = plan.clusters.map(({ id }) => id);
  return [
    ...tunnelLinks(
      clusters,
      plan.tunnels.map(({ name }) => name),
    ),
    ...controlPlaneLinks(clusters),
  ];
}

/** A cluster's ends of its tunnel links. */
export function tunnelEndsOf(plan: Linked, cluster: string): LinkEnd[] {
  return endsOf(plan, cluster).filter(({ link }) => link !== CONTROL_PLANE);
}

/** A cluster's ends of its links to other control planes. */
export function controlPlaneEndsOf(plan: Linked, cluster: string): LinkEnd[] {
  return endsOf(plan, cluster).filter(({ link }) => link === CONTROL_PLANE);
}

function endsOf(plan: Linked, cluster: string): LinkEnd[] {
  return linksOf(plan).flatMap((link) =>
    link.ends.filter((at) => at.cluster === cluster).map((at) => at.end),
  );
}
