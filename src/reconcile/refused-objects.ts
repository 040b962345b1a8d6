/** What peers say that can't be read here, in words for the conditions of what it touches. */
import { reasons } from "../api/conditions.ts";
import type { Problem } from "../model/problem.ts";
import { isHeard } from "../model/world.ts";
import type { ClusterId, Peer, RefusedObject } from "../model/world.ts";

/** More than this are counted, not named. */
const maxNamed = 5;
const maxWords = 500;

/** Of all peers, for a person. */
export function refusedProblems(peers: readonly Peer[]): Problem[] {
  const problems = peers.flatMap((peer) => heard(peer).map((refused) => problemOf(peer.id, refused)));
  const unnamed = problems.length - maxNamed;
  const more = {
    reason: reasons.Invalid,
    message: `${unnamed} more objects of peers can't be read, or are not taken: the controller's log names them.`,
  };
  return unnamed > 0 ? [...problems.slice(0, maxNamed), more] : problems;
}

/** Of exports, by `namespace/name` of the service. */
export function refusedExports(peers: readonly Peer[]): ReadonlyMap<string, readonly Problem[]> {
  const problems = new Map<string, Problem[]>();
  for (const peer of peers) {
    for (const refused of heard(peer)) {
      if (refused.kind !== "ServiceAdvertisement") continue;
      const ofService = problems.get(refused.key) ?? [];
      ofService.push(problemOf(peer.id, refused));
      problems.set(refused.key, ofService);
    }
  }
  return problems;
}

/** A peer of which not everything was read yet has no say. */
const heard = (peer: Peer): readonly RefusedObject[] => (isHeard(peer) ? peer.refused : []);

function problemOf(cluster: ClusterId, { kind, key, problem, isKept }: RefusedObject): Problem {
  const effect = isKept ? "What it said before stays in force." : "It is as if it were not there.";
  const why = problem.message.slice(0, maxWords);
  const remedy = problem.reason === reasons.Invalid ? " Correct it there, or upgrade mc-wan here." : "";
  if (problem.reason === reasons.QuotaExceeded || problem.reason === reasons.ReservedName)
    return {
      reason: problem.reason,
      message: `The ${kind} "${key}" of cluster "${cluster}" is not taken. ${why}`,
    };
  return {
    reason: problem.reason,
    message: `The ${kind} "${key}" of cluster "${cluster}" can't be read: ${why} ${effect}${remedy}`,
  };
}
