/**
 * Reads an HTTPRoute once: its matches, filters and references, checked, before it is known what they lead to and where
 * the route attaches. Depends on nothing but the object.
 */
import { reasons } from "../api/conditions.ts";
import type { Problem } from "../model/problem.ts";
import { parentGateway } from "./attach.ts";
import type { BackendQuery } from "./backends.ts";
import { durationMs } from "./duration.ts";
import { readFilters } from "./filters.ts";
import type { Filters } from "./filters.ts";
import type { BackendRef, HTTPRoute, Mirror, Rule } from "./gateway-api.ts";
import { translateMatch } from "./matches.ts";
import type { TranslatedMatch } from "./matches.ts";

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
  /** Why the rule can't be carried out as written: it is closed. */
  readonly problems: readonly Problem[];
}

export interface ReadRoute {
  readonly route: HTTPRoute;
  readonly rules: readonly ReadRule[];
  /** A match that can't be expressed: what it meant would fall to another rule, so that the whole route is closed. */
  readonly matchProblems: readonly Problem[];
  /** Whether it depends on the port of the listener. */
  readonly hasRedirect: boolean;
  /** Keys (`namespace/name`) of the Gateways that it names, each once. */
  readonly gateways: readonly string[];
  /** Every reference, in order. */
  readonly queries: readonly BackendQuery[];
}

export function readRoute(route: HTTPRoute): ReadRoute {
  const matchProblems: Problem[] = [];
  // The CRD's default, one rule for every path; it leads nowhere without a backend.
  const rules = (route.spec.rules ?? [{}]).map((rule) =>
    readRule(rule, route.metadata.namespace ?? "", matchProblems),
  );
  const queries = rules.flatMap(({ backends, mirrors }) =>
    [...backends, ...mirrors].map(({ query }) => query),
  );
  const hasRedirect = rules.some(({ filters }) => filters.redirect !== undefined);
  const gateways = (route.spec.parentRefs ?? []).map((parentRef) => parentGateway(parentRef, route));
  return {
    route,
    rules,
    matchProblems,
    hasRedirect,
    gateways: [...new Set(gateways.filter((key) => key !== undefined))],
    queries,
  };
}

function readRule(rule: Rule, namespace: string, matchProblems: Problem[]): ReadRule {
  const filters = readFilters(rule.filters ?? [], "Rule");
  const matches: TranslatedMatch[] = [];
  const written = rule.matches ?? [];
  for (const match of written.length === 0 ? [{}] : written) {
    const translated = translateMatch(match);
    if ("match" in translated) matches.push(translated);
    else matchProblems.push(...translated);
  }
  const backends = (rule.backendRefs ?? []).map((ref): ReadBackend => {
    const own = readFilters(ref.filters ?? [], "BackendRef");
    return {
      query: queryOf(ref, namespace, own.wanPort ?? filters.wanPort),
      weight: ref.weight ?? 1,
      filters: own,
    };
  });
  const mirrors = filters.mirrors.map((mirror): ReadMirror => {
    return { query: queryOf(mirror.backendRef, namespace, filters.wanPort), mirror };
  });
  const problems = [...filters.problems, ...backends.flatMap((backend) => backend.filters.problems)];
  const milliseconds = (text: string | undefined): number | undefined => {
    const ms = text === undefined ? undefined : durationMs(text);
    if (text !== undefined && ms === undefined) {
      problems.push({
        reason: reasons.UnsupportedValue,
        message: `The time-out "${text}" is not a duration.`,
      });
    }
    return ms;
  };
  const requestTimeoutMs = milliseconds(rule.timeouts?.request);
  const backendTimeoutMs = milliseconds(rule.timeouts?.backendRequest);
  return { matches, filters, backends, mirrors, requestTimeoutMs, backendTimeoutMs, problems };
}

function queryOf(
  ref: Pick<BackendRef, "group" | "kind" | "name" | "namespace" | "port">,
  fromNamespace: string,
  wanPort: string | undefined,
): BackendQuery {
  const { group = "", kind = "Service", namespace = fromNamespace, name, port } = ref;
  const targetKey = `${namespace}/${name}`;
  const key = [fromNamespace, group, kind, targetKey, port, wanPort].join(" ");
  return { key, targetKey, fromNamespace, group, kind, namespace, name, port, wanPort };
}
