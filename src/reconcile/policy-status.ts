/** Conditions of a WANPolicy: accepted, the same in all clusters, and honest about what is not applied. */
import { reasons, types } from "../api/conditions.ts";
import type { WANPolicy } from "../api/wan-policy.ts";
import type { Condition } from "../model/kube-object.ts";
import { annotations } from "../model/names.ts";
import type { Problem } from "../model/problem.ts";
import type { Peer } from "../model/world.ts";
import { condition, unless, type Finding } from "./conditions.ts";
import type { PolicySet } from "./wan-policies.ts";

/** All conditions of one policy. */
export function policyConditions(
  policy: WANPolicy,
  policies: PolicySet,
  peers: readonly Peer[],
): Condition[] {
  const { generation } = policy.metadata;
  const result = [
    condition(types.Accepted, accepted(policy, policies), generation),
    condition(types.Consistent, consistent(policy, peers), generation),
  ];
  if (policy.spec.dscp !== undefined) {
    const message = `Gateways do not set DSCP ${policy.spec.dscp} in this version: let the SD-WAN classify by port ${policy.spec.port}.`;
    result.push(
      condition(types.DSCPApplied, { status: "False", reason: reasons.DSCPNotApplied, message }, generation),
    );
  }
  return result;
}

function accepted({ metadata }: WANPolicy, policies: PolicySet): Finding {
  const refusal = policies.refused.get(metadata.name);
  if (refusal !== undefined) return unless([refusal], { status: "False", ...refusal });
  if (policies.defaults.length > 1 && policies.defaults.includes(metadata.name)) {
    return {
      status: "True",
      reason: reasons.SeveralDefaults,
      message: `Gateways listen for it, but several WANPolicies are the default (${policies.defaults.join(", ")}), so none is. Take the annotation ${annotations.defaultPolicy} off all but one.`,
    };
  }
  return { status: "True", reason: reasons.Accepted, message: "Gateways listen for it." };
}

function consistent({ metadata, spec }: WANPolicy, peers: readonly Peer[]): Finding {
  const problems: Problem[] = [];
  const unread: string[] = [];
  for (const { id, state, problem, objects, refused } of peers) {
    const unreadable = refused.find(({ kind, key }) => kind === "WANPolicy" && key === metadata.name);
    const why = state === "Synced" ? unreadable?.problem : problem;
    if (state !== "Synced" || unreadable !== undefined) {
      unread.push(why === undefined ? `"${id}"` : `"${id}" (${why.message})`);
      continue;
    }
    const theirs = objects.WANPolicy.get(metadata.name);
    if (theirs === undefined) {
      problems.push({
        reason: reasons.MissingAtPeer,
        message: `Cluster "${id}" has no WANPolicy "${metadata.name}": create the same there.`,
      });
    } else if (theirs.spec.port !== spec.port || theirs.spec.tunnel !== spec.tunnel) {
      problems.push({
        reason: reasons.DiffersFromPeer,
        message: `Cluster "${id}" has port ${theirs.spec.port} and tunnel "${theirs.spec.tunnel}" under this name: make them equal.`,
      });
    }
  }
  return unless(
    problems,
    unread.length > 0
      ? {
          status: "Unknown",
          reason: reasons.Unreachable,
          message: `Can't be compared with what can't be read: ${unread.join(", ")}. See their Secrets in mc-wan-system, and PeersUsable of GatewayAdvertisement mc-wan-ingress.`,
        }
      : { status: "True", reason: reasons.Consistent, message: "Every cluster has the same one." },
  );
}
