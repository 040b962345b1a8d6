/**
 * Who of other clusters may call an exported service: the clusters that its ServiceExport is limited to, and the rules of all
 * AccessPolicies that are for it; and which clients peers are asked to tell apart for that.
 *
 *     ServiceExport (annotation) + AccessPolicies → ServiceAccess → the ingress's table
 *
 * What can't be read lets nobody through.
 */
import { reasons, types } from "../api/conditions.ts";
import type { ServiceExport } from "../api/multicluster.ts";
import { modeOf } from "../api/wan-policy.ts";
import type { AdvertisedClient } from "../api/service-advertisement.ts";
import type { DesiredStatus, ServiceAccess } from "../model/desired.ts";
import type { ObjectTypes } from "../model/kinds.ts";
import { annotations } from "../model/names.ts";
import { byAge, compare, sortedEntries } from "../model/order.ts";
import type { Problem } from "../model/problem.ts";
import type { Store } from "../model/world.ts";
import { condition, type Finding } from "./conditions.ts";
import type { PolicySet } from "./wan-policies.ts";

type AccessPolicy = ObjectTypes["AccessPolicy"];

/** The AccessPolicies of each ServiceExport that one is for, by its `namespace/name`; the oldest first. */
export function accessPoliciesByExport(
  policies: Store<AccessPolicy>,
): ReadonlyMap<string, readonly AccessPolicy[]> {
  const result = new Map<string, AccessPolicy[]>();
  for (const [, policy] of [...policies].sort(([, a], [, b]) => byAge(a, b))) {
    if (policy.metadata.deletionTimestamp !== undefined) continue;
    for (const name of new Set(policy.spec.targetRefs.map((target) => target.name))) {
      const key = `${policy.metadata.namespace ?? ""}/${name}`;
      result.set(key, [...(result.get(key) ?? []), policy]);
    }
  }
  return result;
}

const clusterId = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** Who may call the service of an export, undefined where every cluster may; and what is wrong with the annotation. */
export function accessOf(
  { metadata }: ServiceExport,
  policies: readonly AccessPolicy[],
): { readonly access: ServiceAccess | undefined; readonly problems: readonly Problem[] } {
  const limit = metadata.annotations?.[annotations.clusters];
  const named = limit?.split(",").map((id) => id.trim());
  const clusters =
    named === undefined ? undefined : [...new Set(named.filter((id) => clusterId.test(id)))].sort(compare);
  const isWrong = named?.some((id) => !clusterId.test(id)) === true;
  const problem: Problem = {
    reason: reasons.InvalidAnnotation,
    message: `The annotation ${annotations.clusters} has to be ids of clusters with commas between. What is none lets no cluster in. Correct it, or take it off.`,
  };
  const rules = policies.flatMap(({ spec }) => spec.rules ?? []);
  const isLimited = clusters !== undefined || policies.length > 0;
  const access: ServiceAccess = {
    ...(clusters === undefined ? {} : { clusters }),
    ...(policies.length === 0 ? {} : { rules }),
  };
  return { access: isLimited ? access : undefined, problems: isWrong ? [problem] : [] };
}

/** Schema of the ServiceAdvertisement. */
const maxClients = 256;

/** The clients of peers that rules name by namespace, each once, and what is wrong with them. */
export function clientsToTell({ rules = [] }: ServiceAccess): {
  readonly clients: readonly AdvertisedClient[];
  readonly problems: readonly Problem[];
} {
  const byWords = new Map<string, AdvertisedClient>();
  for (const { from = [] } of rules) {
    for (const { cluster, namespace, serviceAccount } of from) {
      if (namespace === undefined) continue;
      byWords.set([namespace, serviceAccount ?? "", cluster ?? ""].join("/"), {
        ...(cluster !== undefined && { cluster }),
        namespace,
        ...(serviceAccount !== undefined && { serviceAccount }),
      });
    }
  }
  const all = [...byWords].sort(([a], [b]) => compare(a, b)).map(([, client]) => client);
  const message = `AccessPolicies name ${all.length} namespaces and service accounts for this export. Peers are asked to tell the first ${maxClients} apart; requests of the others get 403. Name whole namespaces, or fewer.`;
  return {
    clients: all.slice(0, maxClients),
    problems: all.length > maxClients ? [{ reason: reasons.TooManyClients, message }] : [],
  };
}

/** Of an export of this cluster: what peers are told, if it is valid. */
interface JudgedExport {
  readonly advertisement?: object;
}

/** What became of every AccessPolicy, at each of its targets. */
export function accessStatuses(
  store: Store<AccessPolicy>,
  around: {
    readonly exports: ReadonlyMap<string, JudgedExport>;
    readonly policies: PolicySet;
    /** Whether mc-wan's own Envoys carry the traffic. */
    readonly isOurs: boolean;
  },
): DesiredStatus[] {
  return sortedEntries(store)
    .filter(([, { metadata }]) => metadata.deletionTimestamp === undefined)
    .map(([key, { metadata, spec }]) => ({
      kind: "AccessPolicy",
      key,
      form: "PolicyAncestors",
      ancestors: spec.targetRefs.map(({ group, kind, name }) => {
        const target = around.exports.get(`${metadata.namespace ?? ""}/${name}`);
        const finding = accepted(name, target, around);
        return {
          ancestorRef: { group, kind, namespace: metadata.namespace ?? "", name },
          conditions: [condition(types.Accepted, finding, metadata.generation)],
        };
      }),
    }));
}

function accepted(
  name: string,
  target: JudgedExport | undefined,
  { policies, isOurs }: { readonly policies: PolicySet; readonly isOurs: boolean },
): Finding {
  if (target?.advertisement === undefined) {
    const message = `There is no ServiceExport "${name}" in this namespace that is valid. Create it, or correct the name.`;
    return { status: "False", reason: reasons.TargetNotFound, message };
  }
  if (!isOurs) {
    const message =
      "The implementation that carries the traffic here can't tell clients of other clusters apart: nobody reaches the service. Take the policy off, or run mc-wan with --data-plane envoy.";
    return { status: "False", reason: reasons.Unsupported, message };
  }
  const plain = [...policies.accepted.values()].filter((policy) => modeOf(policy) === "Plain");
  const holds = "Requests of other clusters that no rule lets through get 403.";
  const names = plain.map(({ metadata }) => metadata.name).join(", ");
  const message =
    plain.length === 0
      ? holds
      : `${holds} Over a WANPolicy of mode Plain nobody can be told apart, and all requests are refused: ${names}. Give it mode MutualTLS, and another port.`;
  return { status: "True", reason: reasons.Accepted, message };
}
