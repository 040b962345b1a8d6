/** Conditions of a WANPolicy: accepted, the same in all clusters, and honest about what is not applied. */
import { reasons, types } from "../api/conditions.ts";
import { modeOf } from "../api/wan-policy.ts";
import type { WANPolicy } from "../api/wan-policy.ts";
import type { Condition } from "../model/kube-object.ts";
import { annotations, egressPool, ingressPool } from "../model/names.ts";
import type { Problem } from "../model/problem.ts";
import type { DrainingPort } from "../model/desired.ts";
import { compare } from "../model/order.ts";
import type { Peer, World } from "../model/world.ts";
import { condition, unless, type Finding } from "./conditions.ts";
import type { GatewayDirectory } from "./gateway-directory.ts";
import { awaited } from "./draining-ports.ts";
import type { PolicySet } from "./wan-policies.ts";

/** What policies are judged by. */
export interface PolicySurroundings {
  readonly policies: PolicySet;
  readonly world: World;
  readonly draining: readonly DrainingPort[];
  readonly directory: GatewayDirectory;
}

/** All conditions of one policy. */
export function policyConditions(policy: WANPolicy, around: PolicySurroundings): Condition[] {
  const { generation } = policy.metadata;
  const result = [
    condition(types.Accepted, accepted(policy, around), generation),
    condition(types.Consistent, consistent(policy, around.world.peers), generation),
    condition(types.MutualTLS, mutualTls(policy, around), generation),
  ];
  if (policy.spec.dscp !== undefined) {
    const message = `Gateways do not set DSCP ${policy.spec.dscp} in this version: let the SD-WAN classify by port ${policy.spec.port}.`;
    result.push(
      condition(types.DSCPApplied, { status: "False", reason: reasons.DSCPNotApplied, message }, generation),
    );
  }
  return result;
}

function accepted({ metadata }: WANPolicy, { policies, world, draining }: PolicySurroundings): Finding {
  const refusal = policies.refused.get(metadata.name);
  if (refusal !== undefined) return unless([refusal], { status: "False", ...refusal });
  if (policies.defaults.length > 1 && policies.defaults.includes(metadata.name)) {
    return {
      status: "True",
      reason: reasons.SeveralDefaults,
      message: `Gateways listen for it, but several WANPolicies are the default (${policies.defaults.join(", ")}), so none is. Take the annotation ${annotations.defaultPolicy} off all but one.`,
    };
  }
  const old = draining.filter(({ policy }) => policy === metadata.name);
  if (old.length === 0)
    return { status: "True", reason: reasons.Accepted, message: "Gateways listen for it." };
  const ports = old.map(({ port }) => port).join(", ");
  const senders = [...new Set(old.flatMap((port) => awaited(world, port)))].sort(compare);
  const until =
    senders.length === 0 ? "it is advertised at its new one" : `${quoted(senders)} sends elsewhere`;
  return {
    status: "True",
    reason: reasons.Accepted,
    message: `Gateways listen for it, and at its earlier port ${ports} until ${until}.`,
  };
}

/** Whether what is sent over it is encrypted between gateways that know each other; it is never sent otherwise. */
function mutualTls(policy: WANPolicy, { policies, world, directory }: PolicySurroundings): Finding {
  const { name } = policy.metadata;
  if (!policies.accepted.has(name))
    return {
      status: "False",
      reason: reasons.Pending,
      message: "Nothing is sent over it: it is not accepted.",
    };
  if (modeOf(policy) === "Plain") {
    const message = `Requests cross the WAN in plain text, and whoever reaches port ${policy.spec.port} of an ingress gateway reaches every exported service. For mode MutualTLS give the policy another port as well.`;
    return { status: "False", reason: reasons.Plain, message };
  }
  const { homeId, identity } = world;
  if (
    homeId === undefined ||
    identity?.gateways.has(ingressPool) !== true ||
    !identity.gateways.has(egressPool)
  ) {
    const message =
      "Nothing is sent or taken: this cluster's gateways have no identity yet. If that lasts, see Secret mc-wan-ca in mc-wan-system, and the controller's log.";
    return { status: "False", reason: reasons.NoIdentity, message };
  }
  const closed = world.peers.flatMap(({ id }) => directory.closed(id, ingressPool, name) ?? []);
  return unless(closed, {
    status: "True",
    reason: reasons.MutualTLS,
    message: "Gateways know each other by the authorities of their clusters, and nobody else can read.",
  });
}

const quoted = (ids: readonly string[]): string => ids.map((id) => `"${id}"`).join(" and ");

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
      continue;
    }
    const differences = differencesOf(spec, theirs.spec);
    if (differences.length > 0) {
      problems.push({
        reason: reasons.DiffersFromPeer,
        message: `Cluster "${id}" has ${differences.join(" and ")} under this name: make them equal. Until then traffic goes on, at the port at which each receiver listens.`,
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

/** What a peer's policy of the same name says otherwise, in words. */
function differencesOf(ours: WANPolicy["spec"], theirs: WANPolicy["spec"]): string[] {
  return [
    ...(theirs.port === ours.port ? [] : [`port ${theirs.port}`]),
    ...(modeOf({ spec: theirs }) === modeOf({ spec: ours }) ? [] : [`mode ${modeOf({ spec: theirs })}`]),
    ...(theirs.tunnel === ours.tunnel ? [] : [`tunnel "${theirs.tunnel}"`]),
    ...(theirs.dscp === ours.dscp ? [] : [theirs.dscp === undefined ? "no DSCP" : `DSCP ${theirs.dscp}`]),
    ...slaWords(ours.sla, theirs.sla),
  ];
}

const slaWords = (ours: WANPolicy["spec"]["sla"] = {}, theirs: WANPolicy["spec"]["sla"] = {}): string[] =>
  (["latencyMs", "jitterMs", "lossPercent"] as const)
    .filter((field) => ours[field] !== theirs[field])
    .map((field) => (theirs[field] === undefined ? `no sla.${field}` : `sla.${field} ${theirs[field]}`));
