/**
 * What is to be said of BackendTLSPolicies: at each Gateway whose routes name a target of theirs.
 *
 * Source: Gateway API, PolicyAncestorStatus; GEP-713.
 */
import { reasons, types } from "../api/conditions.ts";
import type { PolicyAncestor } from "../model/desired.ts";
import type { Condition } from "../model/kube-object.ts";
import { keyOf } from "../model/kube-object.ts";
import { KeyedMemo } from "../model/memo.ts";
import { compare } from "../model/order.ts";
import type { Problem } from "../model/problem.ts";
import type { BackendPolicies, JudgedPolicy } from "./backend-tls.ts";
import { gatewayGroup } from "./gateway-api.ts";

/** Names of Services (`namespace/name`) by the Gateway whose routes name them. */
export type NamedServices = ReadonlyMap<string, ReadonlySet<string>>;

const accepted: Problem = { reason: reasons.Accepted, message: "Understood and taken up." };
const resolved: Problem = { reason: reasons.ResolvedRefs, message: "Every reference is in order." };

/** Makes a function that remembers its last pass. */
export function createPolicyVerdicts(): (
  policies: BackendPolicies,
  named: () => NamedServices,
) => ReadonlyMap<string, readonly PolicyAncestor[]> {
  const memo = new KeyedMemo<readonly PolicyAncestor[]>();
  return (policies, named) => {
    memo.endPass();
    const verdicts = new Map<string, readonly PolicyAncestor[]>();
    if (policies.all.length === 0) return verdicts;
    const services = named();
    for (const judged of policies.all) {
      const { metadata, spec } = judged.policy;
      const targets = spec.targetRefs.map(({ name }) => keyOf({ namespace: metadata.namespace, name }));
      const gateways = [...services]
        .filter(([, names]) => targets.some((target) => names.has(target)))
        .map(([gateway]) => gateway)
        .sort(compare);
      if (gateways.length === 0) continue;
      const ancestors = memo.get(judged.key, [judged, policies, gateways.join(" ")], () =>
        gateways.map((gateway) => ancestorOf(gateway, conditionsOf(judged, policies.lost(judged)))),
      );
      verdicts.set(judged.key, ancestors);
    }
    return verdicts;
  };
}

function ancestorOf(gateway: string, conditions: readonly Condition[]): PolicyAncestor {
  const [namespace = "", name = ""] = gateway.split("/");
  return { ancestorRef: { group: gatewayGroup, kind: "Gateway", namespace, name }, conditions };
}

function conditionsOf(
  { policy, refusal, unresolved }: JudgedPolicy,
  lost: readonly string[],
): readonly Condition[] {
  const conflict: Problem | undefined =
    lost.length < policy.spec.targetRefs.length
      ? undefined
      : {
          reason: reasons.Conflicted,
          message: `An older BackendTLSPolicy holds for Service ${lost.join(", ")}. Delete one of the two.`,
        };
  const { generation } = policy.metadata;
  const say = (type: string, problem: Problem | undefined, ok: Problem): Condition => ({
    type,
    status: problem === undefined ? "True" : "False",
    ...(problem ?? ok),
    ...(generation !== undefined && { observedGeneration: generation }),
  });
  return [say(types.Accepted, conflict ?? refusal, accepted), say(types.ResolvedRefs, unresolved, resolved)];
}
