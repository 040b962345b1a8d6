/**
 * Rules for an implementation of Gateway API that knows nothing of WAN backends: each backendRef to a dummy Service
 * becomes one backendRef per cluster, weighted, and filters that all backendRefs of a rule share stand at the rule, where
 * more implementations take them.
 *
 *     90  payment over high  →  675  payment over high in c2,  225  payment over high in c3
 *     10  payment-v2         →  100  payment-v2
 */
import { dummyNamespace, group, portHeader } from "../model/names.ts";
import type { RouteRef } from "./backend-refs.ts";
import type { RouteRule } from "./http-rules.ts";

type BackendRef = NonNullable<RouteRule["backendRefs"]>[number];
type Filter = NonNullable<RouteRule["filters"]>[number];

/** One place where requests for a dummy Service go. */
export interface BackendTarget {
  readonly ref: RouteRef;
  /** In proportion to the other targets'; above 0. */
  readonly share: number;
}

/** Where requests to a port of the service behind a dummy go; undefined: nobody knows better than the dummy's own slices. */
export type FindTargets = (dummy: string, servicePort: number) => readonly BackendTarget[] | undefined;

/** Rules whose dummies are spread. */
export interface SpreadRules {
  readonly rules: readonly RouteRule[];
  /** Dummies that were named. */
  readonly dummies: readonly string[];
  /** Numbers of the rules, from 1, that would get more backendRefs than a rule may have: these are not spread. */
  readonly tooWide: readonly number[];
}

/** Gateway API allows so many backendRefs in a rule, and weights up to so much. */
export const maxRefs = 16;
const maxWeight = 1_000_000;

/** Spreads the backends of all rules. A rule that would get too many backendRefs keeps the dummies, whose slices hold all clusters' gateways. */
export function spreadRules(rules: readonly RouteRule[], find: FindTargets): SpreadRules {
  const dummies = new Set<string>();
  const tooWide: number[] = [];
  const spread = rules.map((rule, index) => {
    const refs = rule.backendRefs ?? [];
    if (refs.length === 0) return rule;
    for (const { namespace, name } of refs) if (namespace === dummyNamespace) dummies.add(name);
    const all = spreadRefs(refs, find);
    if (all.length <= maxRefs) return withSharedFilters({ ...rule, backendRefs: all });
    tooWide.push(index + 1);
    return withSharedFilters(rule);
  });
  return { rules: spread, dummies: [...dummies], tooWide };
}

function spreadRefs(refs: readonly BackendRef[], find: FindTargets): BackendRef[] {
  const found = refs.map((ref) => {
    const port = ref.namespace === dummyNamespace ? servicePortOf(ref) : undefined;
    return { ref, targets: port === undefined ? [] : (find(ref.name, port) ?? []) };
  });
  // A lone target needs no more than the weight that was asked for.
  if (found.every(({ targets }) => targets.length <= 1)) {
    return found.map(({ ref, targets: [target] }) =>
      target === undefined ? ref : to(ref, target.ref, ref.weight ?? 1),
    );
  }
  const highest = Math.max(...refs.map(({ weight = 1 }) => weight), 1);
  const scale = Math.max(1, Math.min(1000, Math.floor(maxWeight / highest)));
  return found.flatMap(({ ref, targets }) => {
    const total = (ref.weight ?? 1) * scale;
    // Nobody to go to: its share is the dummy's, which has no endpoints then, and not the others'.
    if (targets.length === 0 || total === 0) return [{ ...ref, weight: total }];
    const shares = divide(
      total,
      targets.map(({ share }) => share),
    );
    return targets.flatMap((target, index) => {
      const weight = shares[index] ?? 0;
      return weight === 0 ? [] : [to(ref, target.ref, weight)];
    });
  });
}

const to = ({ filters }: BackendRef, ref: RouteRef, weight: number): BackendRef => ({
  ...ref,
  weight,
  ...(filters === undefined ? {} : { filters }),
});

/** The port of the service that a WAN backendRef says in the port header. */
function servicePortOf({ filters = [] }: BackendRef): number | undefined {
  const set = filters.flatMap(({ requestHeaderModifier }) => requestHeaderModifier?.set ?? []);
  const value = set.find(({ name }) => name === portHeader)?.value;
  return value === undefined ? undefined : Number(value);
}

/** Whole parts of a total in proportion to shares, by the largest remainders; the parts' sum is the total. */
export function divide(total: number, shares: readonly number[]): number[] {
  const sum = shares.reduce((all, share) => all + share, 0);
  const exact = shares.map((share) => (total * share) / sum);
  const parts = exact.map(Math.floor);
  const missing = total - parts.reduce((all, part) => all + part, 0);
  const byRemainder = exact
    .map((value, index) => ({ index, remainder: value - Math.floor(value) }))
    .sort((a, b) => b.remainder - a.remainder || a.index - b.index);
  for (const { index } of byRemainder.slice(0, missing)) parts[index] = (parts[index] ?? 0) + 1;
  return parts;
}

/** The rule with the filters that all its backendRefs have, at the rule itself; unchanged where they differ or would clash. */
function withSharedFilters(rule: RouteRule): RouteRule {
  // What leads nowhere answers 500 before any filter counts.
  const refs = (rule.backendRefs ?? []).filter((ref) => ref.group !== group);
  const [first] = refs;
  const shared = first?.filters ?? [];
  // All made by the same code, field by field in the same order.
  const words = JSON.stringify(shared);
  if (shared.length === 0 || !refs.every(({ filters }) => JSON.stringify(filters) === words)) return rule;
  const merged = mergeFilters(rule.filters ?? [], shared);
  if (merged === undefined) return rule;
  const bare = (rule.backendRefs ?? []).map((ref): BackendRef => {
    const { filters: _, ...rest } = ref;
    return rest;
  });
  return { ...rule, filters: merged, backendRefs: bare };
}

/** Filters of a rule and of its backendRefs as the rule's: each type once. Undefined if both change one header. */
function mergeFilters(own: readonly Filter[], shared: readonly Filter[]): Filter[] | undefined {
  let result = [...own];
  for (const filter of shared) {
    const known = result.find(({ type }) => type === filter.type);
    const merged = known === undefined ? filter : mergeTwo(known, filter);
    if (merged === undefined) return undefined;
    result = known === undefined ? [...result, merged] : result.map((one) => (one === known ? merged : one));
  }
  return result;
}

function mergeTwo(rule: Filter, backend: Filter): Filter | undefined {
  if (rule.urlRewrite !== undefined && backend.urlRewrite !== undefined)
    return { ...rule, urlRewrite: { ...rule.urlRewrite, ...backend.urlRewrite } };
  const field = rule.type === "RequestHeaderModifier" ? "requestHeaderModifier" : "responseHeaderModifier";
  const [first, second] = [rule[field], backend[field]];
  if (rule.type !== backend.type || first === undefined || second === undefined) return undefined;
  const changed = new Set(headersOf(first));
  if (headersOf(second).some((name) => changed.has(name))) return undefined;
  const both = <T>(a: readonly T[] = [], b: readonly T[] = []): T[] => [...a, ...b];
  const [set, add, remove] = [
    both(first.set, second.set),
    both(first.add, second.add),
    both(first.remove, second.remove),
  ];
  return {
    ...rule,
    [field]: {
      ...(set.length === 0 ? {} : { set }),
      ...(add.length === 0 ? {} : { add }),
      ...(remove.length === 0 ? {} : { remove }),
    },
  };
}

function headersOf(filter: NonNullable<Filter["requestHeaderModifier"]>): string[] {
  return [...(filter.set ?? []), ...(filter.add ?? [])]
    .map(({ name }) => name)
    .concat(filter.remove ?? [])
    .map((name) => name.toLowerCase());
}
