/**
 * Reads an HTTPRoute or a GRPCRoute once: its matches, filters and references, checked, before it is known what they lead to and where
 * the route attaches. Depends on nothing but the object.
 */
import { reasons } from "../api/conditions.ts";
import type { AnyRouteKind, RouteKind } from "../model/kinds.ts";
import type { Problem } from "../model/problem.ts";
import type { BackendQuery } from "./backends.ts";
import { durationMs } from "../model/duration.ts";
import { readFilters } from "./filters.ts";
import type { Filters } from "./filters.ts";
import type { BackendRef, GRPCRoute, GRPCRule, HTTPRoute, Mirror, Route, Rule } from "./gateway-api.ts";
import { translateGrpcMatch } from "./grpc-matches.ts";
import { translateMatch } from "./matches.ts";
import { parentOf } from "./parents.ts";
import type { ParentKey } from "./parents.ts";
import type { TranslatedMatch } from "./matches.ts";
import { defaultAttempts, maxAttempts, type RuleRetry } from "./retries.ts";

interface ReadBackend {
  readonly query: BackendQuery;
  readonly weight: number;
  readonly filters: Filters;
}

interface ReadMirror {
  readonly query: BackendQuery;
  readonly mirror: Mirror;
}

export interface ReadRule {
  readonly matches: readonly TranslatedMatch[];
  readonly filters: Filters;
  readonly backends: readonly ReadBackend[];
  readonly mirrors: readonly ReadMirror[];
  /** Milliseconds; undefined or 0: none. */
  readonly requestTimeoutMs: number | undefined;
  readonly backendTimeoutMs: number | undefined;
  /** Set where the rule says when to try again. */
  readonly retry?: RuleRetry;
  /** Why the rule can't be carried out as written: it is closed. */
  readonly problems: readonly Problem[];
}

export interface ReadRoute {
  readonly kind: RouteKind;
  readonly route: Route;
  readonly rules: readonly ReadRule[];
  /** A match that can't be expressed: what it meant would fall to another rule, so that the whole route is closed. */
  readonly matchProblems: readonly Problem[];
  /** Whether it depends on the port of the listener. */
  readonly hasRedirect: boolean;
  /** The Gateways and ListenerSets that it names, each once. */
  readonly parents: readonly ParentKey[];
  /** Every reference, in order. */
  readonly queries: readonly BackendQuery[];
}

export function readHttpRoute(route: HTTPRoute): ReadRoute {
  // The CRD's default, one rule for every path; it leads nowhere without a backend.
  return readRoute("HTTPRoute", route, (route.spec.rules ?? [{}]).map(httpRule));
}

export function readGrpcRoute(route: GRPCRoute): ReadRoute {
  return readRoute("GRPCRoute", route, (route.spec.rules ?? []).map(grpcRule));
}

/** What rules of all kinds of routes have in common. */
interface AnyRule extends Pick<
  Rule,
  "filters" | "backendRefs" | "timeouts" | "retry" | "sessionPersistence"
> {
  /** At least one; or why Envoy can't do it. */
  readonly translated: readonly (TranslatedMatch | readonly Problem[])[];
}

function httpRule({ matches = [], ...rule }: Rule): AnyRule {
  return { ...rule, translated: (matches.length === 0 ? [{}] : matches).map(translateMatch) };
}

/** Filters of GRPCRoutes are filters of HTTPRoutes, though not all of them. */
function grpcRule({ matches = [], ...rule }: GRPCRule): AnyRule {
  return { ...rule, translated: (matches.length === 0 ? [{}] : matches).map(translateGrpcMatch) };
}

function readRoute(kind: RouteKind, route: Route, written: readonly AnyRule[]): ReadRoute {
  const matchProblems: Problem[] = [];
  const from = { kind, namespace: route.metadata.namespace ?? "" };
  const rules = written.map((rule) => readRule(rule, from, matchProblems));
  const queries = rules.flatMap(({ backends, mirrors }) =>
    [...backends, ...mirrors].map(({ query }) => query),
  );
  const hasRedirect = rules.some(({ filters }) => filters.redirect !== undefined);
  const parents = (route.spec.parentRefs ?? []).map((parentRef) => parentOf(parentRef, route));
  return {
    kind,
    route,
    rules,
    matchProblems,
    hasRedirect,
    parents: [...new Set(parents.filter((key) => key !== undefined))],
    queries,
  };
}

/** Who names a backend. */
interface From {
  readonly kind: RouteKind;
  readonly namespace: string;
}

function readRule(rule: AnyRule, from: From, matchProblems: Problem[]): ReadRule {
  const filters = readFilters(rule.filters ?? [], "Rule");
  const matches: TranslatedMatch[] = [];
  for (const translated of rule.translated) {
    if ("match" in translated) matches.push(translated);
    else matchProblems.push(...translated);
  }
  const retry = rule.retry === undefined ? undefined : readRetry(rule.retry);
  const asker = { ...from, hasRetry: retry !== undefined };
  const backends = (rule.backendRefs ?? []).map((ref): ReadBackend => {
    const own = readFilters(ref.filters ?? [], "BackendRef");
    return {
      query: queryOf(ref, asker, own.wanPort ?? filters.wanPort),
      weight: ref.weight ?? 1,
      filters: own,
    };
  });
  const mirrors = filters.mirrors.map((mirror): ReadMirror => {
    return { query: queryOf(mirror.backendRef, { ...from, hasRetry: false }, filters.wanPort), mirror };
  });
  const problems = [
    ...filters.problems,
    ...backends.flatMap((backend) => backend.filters.problems),
    ...cannotDo(rule),
  ];
  const milliseconds = (text: string | undefined): number | undefined => {
    const ms = text === undefined ? undefined : durationMs(text);
    if (text !== undefined && ms === undefined) {
      problems.push({
        reason: reasons.UnsupportedValue,
        message: `The time-out "${text}" is not a duration. Write one such as "500ms" or "10s".`,
      });
    }
    return ms;
  };
  const requestTimeoutMs = milliseconds(rule.timeouts?.request);
  const backendTimeoutMs = milliseconds(rule.timeouts?.backendRequest);
  const timeouts = { requestTimeoutMs, backendTimeoutMs };
  return { matches, filters, backends, mirrors, ...timeouts, ...(retry && { retry }), problems };
}

function readRetry({ attempts = defaultAttempts, codes = [] }: NonNullable<Rule["retry"]>): RuleRetry {
  return { attempts, codes };
}

/** Fields of the experimental channel that Envoy, or this version, can't follow to the letter. */
function cannotDo({ retry, sessionPersistence }: AnyRule): Problem[] {
  const refuse = (message: string): Problem => ({ reason: reasons.UnsupportedValue, message });
  const attempts = retry?.attempts ?? defaultAttempts;
  return [
    // The CRD takes any integer, and Envoy does not.
    ...(Number.isInteger(attempts) && attempts >= 0 && attempts <= maxAttempts
      ? []
      : [refuse(`${attempts} retries are not possible: write 0 to ${maxAttempts} into retry.attempts.`)]),
    ...(retry?.backoff === undefined
      ? []
      : [refuse("A least time between retries can't be kept: leave retry.backoff out.")]),
    ...(sessionPersistence === undefined
      ? []
      : [refuse("Session persistence is not supported: leave sessionPersistence out.")]),
  ];
}

/** A backendRef of a route as a question. */
export function queryOf(
  ref: Pick<BackendRef, "group" | "kind" | "name" | "namespace" | "port">,
  from: { readonly kind: AnyRouteKind; readonly namespace: string; readonly hasRetry: boolean },
  wanPort: string | undefined,
): BackendQuery {
  const { kind: fromKind, namespace: fromNamespace, hasRetry } = from;
  const { group = "", kind = "Service", namespace = fromNamespace, name, port } = ref;
  const targetKey = `${namespace}/${name}`;
  const key = [fromKind, hasRetry, fromNamespace, group, kind, targetKey, port, wanPort].join(" ");
  return { key, targetKey, fromKind, hasRetry, fromNamespace, group, kind, namespace, name, port, wanPort };
}
