/**
 * Peers that are not heard, in words for the conditions of what they feed: since when, what holds meanwhile, and what to
 * do. Says nothing of a peer whose first answer is only just awaited.
 */
import { reasons, types } from "../api/conditions.ts";
import { probeKey } from "../model/desired.ts";
import type { ObjectKey } from "../model/desired.ts";
import { objectKey } from "../model/desired.ts";
import type { Condition } from "../model/kube-object.ts";
import { systemNamespace } from "../model/names.ts";
import { isStaleFor, type PartitionRule } from "../model/partition.ts";
import { compare, sortedEntries } from "../model/order.ts";
import { messageOf, type Problem } from "../model/problem.ts";
import { isHeard, type Peer, type World } from "../model/world.ts";
import { condition } from "./conditions.ts";
import type { Merged } from "./imports.ts";
import { isOurs } from "./owners.ts";
import type { Target } from "./proxy-slices.ts";

/** Of all peers that were heard and are not any more, with what stands in the way as it is seen now. */
export function staleProblems(peers: readonly Peer[]): Problem[] {
  return peers
    .filter(({ state }) => state === "Stale")
    .map((peer) => {
      const problem = staleProblem(peer);
      return peer.problem === undefined
        ? problem
        : { ...problem, message: `${problem.message} ${peer.problem.message}` };
    });
}

/**
 * Of the clusters that export a service and are stale for its import; `probes`: their gateways behind its shadow, if
 * traffic goes Direct.
 */
export function staleExporters(
  { members }: Merged,
  {
    peers,
    probes,
    rule,
  }: { readonly peers: readonly Peer[]; readonly probes: readonly Target[]; readonly rule: PartitionRule },
): Problem[] {
  const problems = peers
    .filter((peer) => isStaleFor(peer, rule) && members.some(({ cluster }) => cluster === peer.id))
    .map((peer) => staleProblem(peer, rule));
  const silent = [...new Set(probes.filter(({ isSilent }) => isSilent === true).map(probeKey))].sort(compare);
  if (problems.length === 0 || silent.length === 0) return problems;
  const words = `No connections are led to gateways that don't take any, until they do: ${silent.join(", ")}.`;
  return [...problems, { reason: reasons.Stale, message: words }];
}

/** Of all peers that were never heard, with what stands in the way as it is seen now. */
export function unheardProblems(peers: readonly Peer[]): Problem[] {
  return unheard(peers).map((peer) => {
    const { reason, message } = unheardProblem(peer);
    return { reason, message: `${message} ${peer.problem?.message ?? ""}` };
  });
}

/** Those of which it is known why: others are only just being asked. */
const unheard = (peers: readonly Peer[]): Peer[] =>
  peers.filter((peer) => !isHeard(peer) && peer.problem !== undefined);

function unheardProblem(peer: Peer): Problem {
  return {
    reason: reasons.Unheard,
    message: `Cluster "${peer.id}" was not heard since the controller started. Until it is, nothing is deleted here that may stand because of it. ${remedy(peer)}`,
  };
}

/** MCS ServiceImports of ours for which no cluster that is heard has an export, and which stay while another is not heard. */
export function leftImports(
  world: World,
  told: ReadonlyMap<ObjectKey, unknown>,
): { readonly key: string; readonly conditions: readonly Condition[] }[] {
  const problems = unheard(world.peers).map(unheardProblem);
  if (problems.length === 0) return [];
  return sortedEntries(world.home.McsServiceImport).flatMap(([key, mcs]) => {
    if (!isOurs(mcs) || told.has(objectKey("McsServiceImport", key))) return [];
    const message = `No cluster that is heard exports the service. ${messageOf(problems)}`;
    const ready = { status: "False", reason: reasons.Unheard, message } as const;
    return [{ key, conditions: [condition(types.Ready, ready, mcs.metadata.generation)] }];
  });
}

/** What stands in the way may be told otherwise every second, and thousands of imports say this. */
function staleProblem(peer: Peer, rule?: PartitionRule): Problem {
  const { id, staleSinceMs } = peer;
  // To the minute: replicas that followed the peer alike say the same.
  const since =
    staleSinceMs === undefined ? "" : ` since ${new Date(staleSinceMs).toISOString().slice(0, 16)}Z`;
  return {
    reason: reasons.Stale,
    message: `Cluster "${id}" is not heard${since}. ${
      rule?.onPartition === "Drain" ? "It gets no requests until it is." : "What it last said stays in force."
    } ${remedy(peer)}`,
  };
}

const remedy = ({ secret }: Peer): string =>
  `Restore the way to its API server, or put a kubeconfig that works into Secret ${systemNamespace}/${secret}; if the cluster has left for good, delete that Secret.`;
