/**
 * Rules of an L7 ServiceImport as rules of an HTTPRoute. Each rule keeps its place and its matches; one that can't be
 * applied answers 500 to what it matches, and a match that can't be understood closes the whole import: nothing falls
 * through to a rule that was not meant.
 */
import { re2Problem } from "../model/re2.ts";
import { reasons } from "../api/conditions.ts";
import type { HTTPFilter, HTTPHeaderFilter, HTTPMatch, HTTPRule } from "../api/service-import.ts";
import type { ObjectTypes } from "../model/kinds.ts";
import { clusterHostname, portHeader } from "../model/names.ts";
import type { Problem } from "../model/problem.ts";
import { resolveBackendRef, unresolvable, type RefContext, type RouteRef } from "./backend-refs.ts";

/** A rule of an HTTPRoute. */
export type RouteRule = NonNullable<ObjectTypes["HTTPRoute"]["spec"]["rules"]>[number];
type RouteBackendRef = NonNullable<RouteRule["backendRefs"]>[number];
type RouteFilter = NonNullable<RouteRule["filters"]>[number];

/** The rules of one port, and what is wrong with them. */
export interface TranslatedRules {
  readonly rules: readonly RouteRule[];
  /** Rules that are not applied: Accepted=False. */
  readonly refusals: readonly Problem[];
  /** References that lead nowhere: ResolvedRefs=False. */
  readonly unresolved: readonly Problem[];
}

/** One rule for everything, to one backend that exists: no L7 ServiceImport. */
export function defaultRule(backend: {
  readonly ref: RouteRef;
  readonly hostname: string;
  readonly servicePort: number;
}): RouteRule {
  return { matches: [{ path: anyPath }], backendRefs: [wanBackendRef(backend, 1, [])] };
}

/** One rule that answers 500 to everything. */
export const closedRule = (name: string): RouteRule => ({
  matches: [{ path: anyPath }],
  backendRefs: [{ ...unresolvable(name), weight: 1 }],
});

const anyPath = { type: "PathPrefix" as const, value: "/" };

/** Translates all rules for the port of the service that `context` names. */
export function translateRules(rules: readonly HTTPRule[], context: RefContext): TranslatedRules {
  const unreadable = rules.flatMap((rule, index) => matchProblems(rule, index));
  if (unreadable.length > 0)
    return { rules: [closedRule(context.service.name)], refusals: unreadable, unresolved: [] };
  const refusals: Problem[] = [];
  const unresolved: Problem[] = [];
  const translated = rules.map((rule, index): RouteRule => {
    const where = rule.name === undefined ? `Rule ${index + 1}` : `Rule "${rule.name}"`;
    const head = { ...(rule.name === undefined ? {} : { name: rule.name }), matches: matchesOf(rule) };
    const problems = filterProblems(rule, where);
    if (problems.length > 0) {
      refusals.push(...problems);
      return { ...head, backendRefs: [{ ...unresolvable(context.service.name), weight: 1 }] };
    }
    const mirrors = mirrorFilters(rule, context);
    unresolved.push(...mirrors.unresolved);
    const filters = [
      ...(rule.filters ?? []).filter(({ type }) => type !== "RequestMirror"),
      ...mirrors.filters,
    ] as RouteFilter[];
    const body = {
      ...head,
      ...(filters.length === 0 ? {} : { filters }),
      ...(rule.timeouts === undefined ? {} : { timeouts: rule.timeouts }),
    };
    if (filters.some(({ type }) => type === "RequestRedirect")) return body;
    const backends = backendRefs(rule, context);
    unresolved.push(
      ...backends.unresolved.map(({ reason, message }) => ({ reason, message: `${where}: ${message}` })),
    );
    return { ...body, backendRefs: backends.refs };
  });
  return { rules: translated, refusals, unresolved };
}

function backendRefs(
  rule: HTTPRule,
  context: RefContext,
): { refs: RouteBackendRef[]; unresolved: Problem[] } {
  const unresolved: Problem[] = [];
  const refs = (rule.backendRefs ?? []).map((ref): RouteBackendRef => {
    const resolution = resolveBackendRef(ref, context);
    const weight = ref.weight ?? 1;
    if ("problem" in resolution) {
      unresolved.push(resolution.problem);
      return { ...resolution.ref, weight };
    }
    const { service, servicePort } = resolution;
    const hostname = clusterHostname(service);
    return servicePort === undefined
      ? { ...resolution.ref, weight, filters: mergedFilters(ref.filters ?? [], hostname, undefined) }
      : wanBackendRef({ ref: resolution.ref, hostname, servicePort }, weight, ref.filters ?? []);
  });
  if (refs.length === 0) {
    unresolved.push({
      reason: reasons.BackendNotFound,
      message: "has no backendRefs, so its requests are answered with 500. Name a backend.",
    });
    refs.push({ ...unresolvable(context.service.name), weight: 1 });
  }
  return { refs, unresolved };
}

function wanBackendRef(
  {
    ref,
    hostname,
    servicePort,
  }: { readonly ref: RouteRef; readonly hostname: string; readonly servicePort: number },
  weight: number,
  filters: readonly HTTPFilter[],
): RouteBackendRef {
  return { ...ref, weight, filters: mergedFilters(filters, hostname, servicePort) };
}

/** A backendRef's own filters with the host rewrite and the port header merged in: a filter's type may stand only once. */
function mergedFilters(
  own: readonly HTTPFilter[],
  hostname: string,
  servicePort: number | undefined,
): RouteFilter[] {
  const headers = own.find(({ type }) => type === "RequestHeaderModifier")?.requestHeaderModifier;
  const path = own.find(({ type }) => type === "URLRewrite")?.urlRewrite?.path;
  const portSet = servicePort === undefined ? [] : [{ name: portHeader, value: String(servicePort) }];
  const set = [...(headers?.set ?? []), ...portSet];
  const merged: object[] = [
    { type: "URLRewrite", urlRewrite: { hostname, ...(path === undefined ? {} : { path }) } },
    ...(headers === undefined && set.length === 0
      ? []
      : [
          {
            type: "RequestHeaderModifier",
            requestHeaderModifier: { ...headers, ...(set.length === 0 ? {} : { set }) },
          },
        ]),
    ...own.filter(({ type }) => type === "ResponseHeaderModifier"),
  ];
  return merged as RouteFilter[];
}

/** Mirrors go to Services of this namespace only: over the WAN they would need a host of their own, which no mirror can have. */
function mirrorFilters(
  rule: HTTPRule,
  context: RefContext,
): { filters: HTTPFilter[]; unresolved: Problem[] } {
  const filters: HTTPFilter[] = [];
  const unresolved: Problem[] = [];
  for (const filter of rule.filters ?? []) {
    if (filter.requestMirror === undefined) continue;
    const resolution = resolveBackendRef(filter.requestMirror.backendRef, context);
    if ("problem" in resolution) unresolved.push(resolution.problem);
    else if (resolution.servicePort !== undefined) {
      unresolved.push({
        reason: reasons.UnsupportedFilter,
        message: `RequestMirror to "${filter.requestMirror.backendRef.name}" would cross the WAN, which is not supported. Mirror to a Service of this namespace.`,
      });
    } else
      filters.push({ ...filter, requestMirror: { ...filter.requestMirror, backendRef: resolution.ref } });
  }
  return { filters, unresolved };
}

function matchesOf(rule: HTTPRule): NonNullable<RouteRule["matches"]> {
  const matches = rule.matches === undefined || rule.matches.length === 0 ? [{}] : rule.matches;
  return matches.map(({ path, headers = [], queryParams = [], method }: HTTPMatch) => ({
    path: { type: path?.type ?? "PathPrefix", value: path?.value ?? "/" },
    ...(headers.length === 0
      ? {}
      : { headers: headers.map((header) => ({ ...header, type: header.type ?? "Exact" })) }),
    ...(queryParams.length === 0
      ? {}
      : { queryParams: queryParams.map((param) => ({ ...param, type: param.type ?? "Exact" })) }),
    ...(method === undefined ? {} : { method }),
  }));
}

function matchProblems(rule: HTTPRule, index: number): Problem[] {
  const expressions = (rule.matches ?? []).flatMap(({ path, headers = [], queryParams = [] }) =>
    [...(path === undefined ? [] : [path]), ...headers, ...queryParams]
      .filter(({ type }) => type === "RegularExpression")
      .map(({ value = "/" }) => value),
  );
  return expressions.flatMap((expression) => {
    const fault = re2Problem(expression);
    return fault === undefined
      ? []
      : [
          {
            reason: reasons.UnsupportedValue,
            message: `Rule ${index + 1}: ${JSON.stringify(expression.slice(0, 64))} is no expression that gateways take (it ${fault}). As it can't be told what the rule was meant for, all requests are answered with 500. Correct the expression.`,
          },
        ];
  });
}

function filterProblems(rule: HTTPRule, where: string): Problem[] {
  const all = [...(rule.filters ?? []), ...(rule.backendRefs ?? []).flatMap((ref) => ref.filters ?? [])];
  const problems: Problem[] = [];
  if (all.some(({ urlRewrite }) => urlRewrite?.hostname !== undefined)) {
    problems.push({
      reason: reasons.HostRewrite,
      message: `${where}: a URLRewrite of the hostname would choose another service at the gateway. Take the hostname out and name the service as backendRef. Until then its requests are answered with 500.`,
    });
  }
  const names = all.flatMap(({ requestHeaderModifier }) => changedHeaders(requestHeaderModifier));
  const forbidden = names.find(
    (name) => name === "host" || name.startsWith(":") || name.startsWith("x-mc-wan-"),
  );
  if (forbidden !== undefined) {
    problems.push({
      reason: reasons.HostRewrite,
      message: `${where}: a RequestHeaderModifier must not change ${JSON.stringify(forbidden)}: it would choose another service at the gateway. Take it out. Until then the rule's requests are answered with 500.`,
    });
  }
  const inRefs = (rule.backendRefs ?? []).flatMap((ref) => ref.filters ?? []);
  const misplaced = inRefs.find(({ type }) => type === "RequestRedirect" || type === "RequestMirror");
  if (misplaced !== undefined) {
    problems.push({
      reason: reasons.UnsupportedFilter,
      message: `${where}: ${misplaced.type} is supported for a whole rule only, not in a backendRef. Until it is moved the rule's requests are answered with 500.`,
    });
  }
  return problems;
}

function changedHeaders(filter: HTTPHeaderFilter | undefined): string[] {
  return [...(filter?.set ?? []), ...(filter?.add ?? [])]
    .map(({ name }) => name)
    .concat(filter?.remove ?? [])
    .map((name) => name.trim().toLowerCase());
}
