/**
 * WANPolicies: which are accepted, which one a name, a tunnel or nothing at all means. What can't be told closes: there
 * is no fall-back to another tunnel.
 */
import { reasons } from "../api/conditions.ts";
import { modeOf } from "../api/wan-policy.ts";
import type { WANPolicy } from "../api/wan-policy.ts";
import type { Problem } from "../model/problem.ts";
import { annotations } from "../model/names.ts";
import { byAge, compare } from "../model/order.ts";
import type { Settings, Store } from "../model/world.ts";

/** Gateway API allows 64 listeners on a Gateway; an ingress Gateway has one for every policy. */
const maxAccepted = 32;

/** The WANPolicies of the home cluster, judged. */
export interface PolicySet {
  /** Sorted by name. */
  readonly all: readonly WANPolicy[];
  /** Accepted ones, by name, in the order of their names. */
  readonly accepted: ReadonlyMap<string, WANPolicy>;
  /** Why a policy is not accepted, by its name. */
  readonly refused: ReadonlyMap<string, Problem>;
  /** Names of policies that are annotated as the default, sorted. */
  readonly defaults: readonly string[];
}

/** A policy's name, or why there is none. */
export type PolicyChoice = { readonly policy: string } | { readonly problem: Problem };

/** Judges all policies: of two on one port the older is accepted, and no more than {@link maxAccepted} are. */
export function policySet(store: Store<WANPolicy>, { dataPlane }: Pick<Settings, "dataPlane">): PolicySet {
  const byAgeFirst = [...store.values()]
    .filter((policy) => policy.metadata.deletionTimestamp === undefined)
    .sort(byAge);
  const holders = new Map<number, string>();
  const refused = new Map<string, Problem>();
  const accepted: WANPolicy[] = [];
  for (const policy of byAgeFirst) {
    const { name } = policy.metadata;
    const holder = holders.get(policy.spec.port);
    if (dataPlane.name !== "envoy" && modeOf(policy) === "MutualTLS") {
      refused.set(name, {
        reason: reasons.UnsupportedMode,
        message: `The data plane "${dataPlane.name}" can't speak mutual TLS between clusters. Give the policy mode Plain and another port, in every cluster, or run mc-wan with its own Envoys.`,
      });
    } else if (holder !== undefined) {
      refused.set(name, {
        reason: reasons.PortConflict,
        message: `Port ${policy.spec.port} belongs to the older WANPolicy "${holder}". Give this one a port of its own.`,
      });
    } else if (accepted.length >= maxAccepted) {
      refused.set(name, {
        reason: reasons.TooManyPolicies,
        message: `At most ${maxAccepted} WANPolicies are accepted, and ${maxAccepted} are older than this one. Delete one that is not used.`,
      });
    } else {
      holders.set(policy.spec.port, name);
      accepted.push(policy);
    }
  }
  const byName = (a: WANPolicy, b: WANPolicy): number => compare(a.metadata.name, b.metadata.name);
  return {
    all: [...byAgeFirst].sort(byName),
    accepted: new Map(accepted.sort(byName).map((policy) => [policy.metadata.name, policy])),
    refused,
    defaults: byAgeFirst
      .filter((policy) => policy.metadata.annotations?.[annotations.defaultPolicy] === "true")
      .map((policy) => policy.metadata.name)
      .sort(compare),
  };
}

const shortNames: Readonly<Record<string, string>> = {
  high: "sd-wan-priority-high",
  low: "sd-wan-priority-low",
};

/** The accepted policy that a name means: that very name, else what `high` and `low` are short for. */
export function policyByName(policies: PolicySet, name: string): PolicyChoice {
  const long = Object.hasOwn(shortNames, name) ? shortNames[name] : undefined;
  const meant =
    long !== undefined && !policies.accepted.has(name) && !policies.refused.has(name) ? long : name;
  if (policies.accepted.has(meant)) return { policy: meant };
  const refusal = policies.refused.get(meant);
  if (refusal !== undefined) {
    return {
      problem: {
        reason: reasons.PolicyNotFound,
        message: `WANPolicy "${meant}" is not accepted in this cluster. ${refusal.message}`,
      },
    };
  }
  return {
    problem: {
      reason: reasons.PolicyNotFound,
      message: `There is no WANPolicy "${shown(meant)}" in this cluster. Create it, or name another.`,
    },
  };
}

/** The policy that holds for an export where no rule says otherwise; `serviceAnnotations` are those of its Service. */
export function defaultPolicy(
  policies: PolicySet,
  exportAnnotations: Readonly<Record<string, string>>,
  serviceAnnotations: Readonly<Record<string, string>>,
): PolicyChoice {
  const named = exportAnnotations[annotations.wanPolicy] ?? exportAnnotations[annotations.wanPolicyAlias];
  if (named !== undefined) return policyByName(policies, named);
  const tunnel = serviceAnnotations[annotations.tunnel];
  if (tunnel !== undefined) return policyByTunnel(policies, tunnel);
  const [first, second] = policies.defaults;
  if (first === undefined) {
    return {
      problem: {
        reason: reasons.NoPolicy,
        message: `No WANPolicy is named, and none is the default. Annotate the ServiceExport with ${annotations.wanPolicy}, or a WANPolicy with ${annotations.defaultPolicy}: "true".`,
      },
    };
  }
  if (second !== undefined) {
    return {
      problem: {
        reason: reasons.SeveralDefaults,
        message: `Several WANPolicies are the default: ${policies.defaults.join(", ")}. Take the annotation ${annotations.defaultPolicy} off all but one.`,
      },
    };
  }
  return policyByName(policies, first);
}

function policyByTunnel(policies: PolicySet, tunnel: string): PolicyChoice {
  const fitting = [...policies.accepted.values()]
    .filter((policy) => policy.spec.tunnel === tunnel)
    .map((policy) => policy.metadata.name);
  const [first, second] = fitting;
  if (first === undefined) {
    return {
      problem: {
        reason: reasons.PolicyNotFound,
        message: `No accepted WANPolicy has the tunnel "${shown(tunnel)}" that the Service's annotation ${annotations.tunnel} names. Correct it, or create a WANPolicy with that tunnel.`,
      },
    };
  }
  if (second !== undefined) {
    return {
      problem: {
        reason: reasons.AmbiguousTunnel,
        message: `Tunnel "${tunnel}" fits several WANPolicies: ${fitting.join(", ")}. Name one with the annotation ${annotations.wanPolicy} on the ServiceExport.`,
      },
    };
  }
  return { policy: first };
}

/** What a user wrote, short enough and without line breaks for a condition's message. */
function shown(text: string): string {
  const clean = text.replace(/[^\x20-\x7e]/g, "?");
  return clean.length > 64 ? `${clean.slice(0, 64)}…` : clean;
}
