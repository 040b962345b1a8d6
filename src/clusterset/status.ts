/**
 * The cluster set as a person sees it, from what stands in each cluster's API: no door of a controller is needed.
 *
 *     lists of one cluster → ClusterStatus: counts, peers, what is wrong and the command to look closer
 */
import { RefusedError, UnavailableError } from "../model/errors.ts";
import { kinds } from "../model/kinds.ts";
import type { KindInfo } from "../model/kinds.ts";
import type { KubeObject } from "../model/kube-object.ts";
import { ingressPool, labels, systemNamespace } from "../model/names.ts";
import { findingsOf } from "./findings.ts";
import type { Finding } from "./findings.ts";
import { listAll } from "./list-all.ts";
import { clusterId } from "./open-members.ts";
import type { Reached } from "./open-members.ts";

/** How many of how many are as they should be. */
export interface Share {
  readonly good: number;
  readonly all: number;
}

/** A cluster that another reads. */
interface PeerReport {
  readonly cluster: string;
  /** `Unknown`: there is a Secret, and the controller has not told of it. */
  readonly state: "Synced" | "Stale" | "Unsynced" | "Refused" | "Unknown";
  /** ISO 8601; only of a stale one. */
  readonly since?: string;
}

/** Something that is not as it should be, and how to look closer. */
interface Problem extends Finding {
  readonly next: string;
}

export interface ClusterStatus {
  readonly context: string;
  /** Its id, if its ClusterProperty gives it one. */
  readonly cluster: string | undefined;
  /** Replicas of the controller that are ready. */
  readonly controller: Share;
  readonly policies: Share;
  readonly exports: Share;
  /** MCS ServiceImports. */
  readonly imports: Share;
  /** L7 ServiceImports. */
  readonly rules: Share;
  readonly peers: readonly PeerReport[];
  readonly problems: readonly Problem[];
}

interface Judged {
  readonly kind: KindInfo;
  readonly count: "policies" | "exports" | "imports" | "rules" | undefined;
  /** Without this condition nobody has looked at the object yet. */
  readonly expected: string;
  readonly selection?: { readonly namespace?: string; readonly labels?: string };
}

const judged: readonly Judged[] = [
  { kind: kinds.WANPolicy, count: "policies", expected: "Accepted" },
  { kind: kinds.ServiceExport, count: "exports", expected: "Valid" },
  { kind: kinds.McsServiceImport, count: "imports", expected: "Ready" },
  { kind: kinds.ServiceImport, count: "rules", expected: "Accepted" },
  {
    kind: kinds.GatewayAdvertisement,
    count: undefined,
    expected: "Accepted",
    selection: { namespace: systemNamespace },
  },
  {
    kind: kinds.Gateway,
    count: undefined,
    expected: "Programmed",
    selection: { labels: `${labels.managedBy}=${labels.managedByValue}` },
  },
];

/** Looks at one cluster. Never throws for what the cluster answers: that it can't be asked is a problem too. */
export async function clusterStatus(cluster: Reached, signal: AbortSignal): Promise<ClusterStatus> {
  try {
    return await seen(cluster, signal);
  } catch (error) {
    if (!(error instanceof UnavailableError || error instanceof RefusedError)) throw error;
    const none = { good: 0, all: 0 };
    const problem = {
      object: "API server",
      type: "Answers",
      reason: error instanceof RefusedError ? "Refused" : "Unavailable",
      message: `${error.message}.`,
      next: `kubectl --context ${cluster.context} get --raw /readyz`,
    };
    const counts = { controller: none, policies: none, exports: none, imports: none, rules: none };
    return { context: cluster.context, cluster: undefined, ...counts, peers: [], problems: [problem] };
  }
}

/** Whether nothing is left to wait for or to mend. */
export const isGood = ({ problems, peers, controller }: ClusterStatus): boolean =>
  problems.length === 0 && peers.every(({ state }) => state === "Synced") && controller.good > 0;

async function seen(cluster: Reached, signal: AbortSignal): Promise<ClusterStatus> {
  const counts = { policies: noneOf(), exports: noneOf(), imports: noneOf(), rules: noneOf() };
  const problems: Problem[] = [];
  let pool: KubeObject | undefined;
  for (const { kind, count, expected, selection } of judged) {
    const objects = await listAll(cluster.api, { kind, ...selection, signal });
    for (const object of objects) {
      const findings = findingsOf(object, expected);
      problems.push(...findings.map((finding) => ({ ...finding, next: describe(cluster, object) })));
      if (count !== undefined) {
        counts[count].all += 1;
        counts[count].good += findings.length === 0 ? 1 : 0;
      }
      if (kind === kinds.GatewayAdvertisement && object.metadata.name === ingressPool) pool = object;
    }
  }
  const controller = await controllerOf(cluster);
  if (controller.good === 0)
    problems.push({
      object: `Deployment ${systemNamespace}/mc-wan-controller`,
      type: "Available",
      reason: "NotReady",
      message:
        "No replica of the controller is ready: traffic goes on, and nothing that changes is taken up.",
      next: `kubectl --context ${cluster.context} -n ${systemNamespace} get pods -l app.kubernetes.io/name=mc-wan-controller`,
    });
  const peers = peersOf(pool, await listAll(cluster.api, { kind: kinds.Secret, ...secrets, signal }));
  const id = await clusterId(cluster.api);
  return { context: cluster.context, cluster: id, controller, ...counts, peers, problems };
}

const secrets = { namespace: systemNamespace, labels: labels.peer };
const noneOf = (): { good: number; all: number } => ({ good: 0, all: 0 });

async function controllerOf({ api }: Reached): Promise<Share> {
  const deployment = await api.get(kinds.Deployment, {
    namespace: systemNamespace,
    name: "mc-wan-controller",
  });
  const { replicas = 0 } = (deployment?.["spec"] ?? {}) as { replicas?: number };
  const { readyReplicas = 0 } = (deployment?.["status"] ?? {}) as { readyReplicas?: number };
  return { good: readyReplicas, all: replicas };
}

/** Those that the controller tells of, and those whose Secret it has said nothing of. */
function peersOf(pool: KubeObject | undefined, peerSecrets: readonly KubeObject[]): readonly PeerReport[] {
  const { peers = [] } = (pool?.["status"] ?? {}) as { peers?: readonly PeerReport[] };
  const told = new Set(peers.map(({ cluster }) => cluster));
  const untold = peerSecrets
    .map(({ metadata }) => metadata.labels?.[labels.peer] ?? "")
    .filter((cluster) => !told.has(cluster))
    .map((cluster) => ({ cluster, state: "Unknown" as const }));
  return [...peers, ...untold];
}

function describe(
  { context }: Reached,
  { kind, apiVersion, metadata: { namespace, name } }: KubeObject,
): string {
  const group = apiVersion.includes("/") ? `.${apiVersion.split("/", 1)[0] ?? ""}` : "";
  const where = namespace === undefined ? "" : ` -n ${namespace}`;
  return `kubectl --context ${context}${where} describe ${kind.toLowerCase()}${group} ${name}`;
}
