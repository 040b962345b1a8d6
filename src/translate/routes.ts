/**
 * Rules of HTTPRoutes and GRPCRoutes → Envoy routes.
 *
 * A rule that can't be carried out answers 500 (gRPC: UNAVAILABLE), and so does a backend that can't be used for its share
 * of the weight: nothing ever falls to another backend. Only a rule's matches decide whether a request is its.
 *
 * Source: Gateway API, HTTPRouteRule, GRPCRouteRule; Envoy, config.route.v3.
 */
import { create } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  DirectResponseActionSchema,
  HeaderMatcherSchema,
  RouteAction_ClusterNotFoundResponseCode,
  RouteActionSchema,
  RouteMatchSchema,
  RouteSchema,
} from "../envoy/envoy/config/route/v3/route_components_pb.ts";
import type {
  HeaderMatcher,
  Route,
  RouteAction,
  RouteAction_RequestMirrorPolicySchema,
  RouteMatch,
} from "../envoy/envoy/config/route/v3/route_components_pb.ts";
import { FractionalPercent_DenominatorType } from "../envoy/envoy/type/v3/percent_pb.ts";
import { hopHeader } from "../model/names.ts";
import type { RouteKind } from "../model/kinds.ts";
import type { Problem } from "../model/problem.ts";
import type { BackendQuery, ClusterSpec } from "./backends.ts";
import { duration } from "./duration.ts";
import type { Mirror, Route as GatewayRoute } from "./gateway-api.ts";
import { arrivalHeader } from "./hop-headers.ts";
import { headerIsOneOf } from "./matches.ts";
import type { Rank, TranslatedMatch } from "./matches.ts";
import { pathShares } from "./path-shares.ts";
import type { ReadRoute, ReadRule } from "./read-route.ts";
import { repeatableMethods, retryPolicy } from "./retries.ts";
import type { RetryForm } from "./retries.ts";
import { newPath, pathRewrite, translateRedirect } from "./rewrites.ts";

/** Never the name of a cluster: ours hold a slash. Requests for it are answered 500. */
const closedCluster = "closed";

/** Where a route is attached, as far as its Envoy routes depend on it. */
export interface Place {
  /** Port of the Gateway's listener, for redirects. */
  readonly listenerPort: number;
  /** In a table that several ports share: the ports on which the route holds; undefined means all. */
  readonly arrivalPorts?: readonly number[];
  /** Requests here have crossed the WAN: they may not cross it again. */
  readonly hasCrossed?: true;
}

/** Envoy routes of one match, in order; between matches, rank, age and place in the object decide. */
export interface RouteEntry {
  readonly rank: Rank;
  readonly routes: readonly Route[];
}

export interface TranslatedRoute {
  readonly kind: RouteKind;
  readonly route: GatewayRoute;
  /** One for each match, in the order of the object. */
  readonly entries: readonly RouteEntry[];
  /** Clusters that the routes name. */
  readonly clusters: readonly ClusterSpec[];
  /** Why rules are closed. */
  readonly problems: readonly Problem[];
  /** Whether any rule is as its author wrote it. */
  readonly isUsable: boolean;
  /** References that lead nowhere. */
  readonly refProblems: readonly Problem[];
}

/** Where each reference leads. */
export type Resolutions = ReadonlyMap<BackendQuery, ClusterSpec | Problem | undefined>;
type Action = Route["action"];

/** What a rule does with its requests. */
interface Outcome {
  readonly action: Exclude<Action, { case: undefined }>;
  /** Set where the request may cross the WAN: the action for methods that may be repeated. */
  readonly repeatable?: RouteAction;
  /** Clusters that it names. */
  readonly clusters: readonly ClusterSpec[];
  /** Nothing is done but answering. */
  readonly isClosed?: true;
}

export function translateRoute(read: ReadRoute, resolutions: Resolutions, place: Place): TranslatedRoute {
  const { kind, route, rules, matchProblems } = read;
  const entries: RouteEntry[] = [];
  const problems: Problem[] = [...matchProblems];
  const clusters = new Set<ClusterSpec>();
  let isUsable = false;
  for (const [ruleIndex, rule] of rules.entries()) {
    const ruleProblems = [...matchProblems, ...rule.problems];
    for (const [matchIndex, match] of rule.matches.entries()) {
      const prefix = kind === "GRPCRoute" ? "grpc/" : "";
      const name = `${prefix}${route.metadata.namespace ?? ""}/${route.metadata.name}/rule/${ruleIndex}/match/${matchIndex}`;
      const shares = ruleProblems.length > 0 ? [] : pathShares(rule, match);
      const outcomes = shares.map((share) => ({
        share,
        outcome: outcomeOf(share.rule, share.match, { resolutions, place, kind }),
      }));
      const faults = [
        ...ruleProblems,
        ...outcomes.flatMap(({ outcome }) => ("action" in outcome ? [] : outcome)),
      ];
      if (faults.length > 0) {
        problems.push(...faults);
        const outcome = closedOutcomes[kind];
        entries.push({ rank: match.rank, routes: routesOf(name, { rule, match, outcome }, place) });
        continue;
      }
      isUsable = true;
      const routes = outcomes.flatMap(({ share, outcome }, index) => {
        if (!("action" in outcome)) return [];
        for (const spec of outcome.clusters) clusters.add(spec);
        const ofShare = shares.length === 1 ? name : `${name}/share/${index}`;
        return routesOf(ofShare, { ...share, outcome }, place);
      });
      entries.push({ rank: match.rank, routes });
    }
  }
  const refProblems = read.queries
    .map((query) => resolutions.get(query))
    .filter((found): found is Problem => found !== undefined && "reason" in found);
  return {
    kind,
    route,
    entries,
    clusters: [...clusters],
    problems: distinct(problems),
    isUsable,
    refProblems: distinct(refProblems),
  };
}

function distinct(problems: readonly Problem[]): Problem[] {
  return [...new Map(problems.map((problem) => [`${problem.reason} ${problem.message}`, problem])).values()];
}

const answer = (status: number): Extract<Action, { case: "directResponse" }> => ({
  case: "directResponse",
  value: create(DirectResponseActionSchema, { status }),
});
/** Envoy makes a gRPC status of an HTTP one where the request is gRPC: UNAVAILABLE of 503. */
const closedOutcomes: Readonly<Record<RouteKind, Outcome>> = {
  HTTPRoute: { action: answer(500), clusters: [], isClosed: true },
  GRPCRoute: { action: answer(503), clusters: [], isClosed: true },
};
const { INTERNAL_SERVER_ERROR, SERVICE_UNAVAILABLE } = RouteAction_ClusterNotFoundResponseCode;
/** The same for the share of a backend that can't be used. */
const notFoundCodes: Readonly<Record<RouteKind, RouteAction_ClusterNotFoundResponseCode>> = {
  HTTPRoute: INTERNAL_SERVER_ERROR,
  GRPCRoute: SERVICE_UNAVAILABLE,
};
const loopDetected = answer(508);
/** Set by every ingress: the request has come over the WAN. */
const hasCrossed = create(HeaderMatcherSchema, {
  name: hopHeader,
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- other members of the oneof are, this one is not
  headerMatchSpecifier: { case: "presentMatch", value: true },
});

function outcomeOf(
  rule: ReadRule,
  match: TranslatedMatch,
  { resolutions, place, kind }: { resolutions: Resolutions; place: Place; kind: RouteKind },
): Outcome | readonly Problem[] {
  const { redirect, rewrite } = rule.filters;
  if (redirect !== undefined) {
    const action = translateRedirect(redirect, {
      matchedPrefix: match.prefix,
      listenerPort: place.listenerPort,
    });
    return "reason" in action ? [action] : { action: { case: "redirect", value: action }, clusters: [] };
  }
  const path = rewrite?.path === undefined ? undefined : newPath(rewrite.path, match.prefix);
  if (path !== undefined && "reason" in path) return [path];

  const specOf = (query: BackendQuery): ClusterSpec | undefined => {
    const found = resolutions.get(query);
    return found !== undefined && "form" in found ? found : undefined;
  };
  const shares = rule.backends
    .filter(({ weight }) => weight > 0)
    .map(({ query, weight, filters }): Share => ({ weight, filters, spec: specOf(query) }));
  const open = shares.flatMap(({ spec }) => spec ?? []);
  if (open.length === 0) return closedOutcomes[kind];

  // A mirror that leads nowhere is left out, as Gateway API says: the request itself is not harmed.
  const mirrored = rule.mirrors.flatMap(({ query, mirror }) => {
    const spec = specOf(query);
    // Nor is it sent over the WAN, where its Host, which is the request's, would choose another service.
    return spec?.form === "Service" ? [{ mirror, spec }] : [];
  });
  const isWan = open.some(({ form }) => form !== "Service");
  const hasTryTimeout = (rule.backendTimeoutMs ?? 0) > 0;
  const action = (form: RetryForm): RouteAction =>
    create(RouteActionSchema, {
      clusterSpecifier: clusterSpecifier(shares, rewrite?.hostname),
      ...(open.length === shares.length ? {} : { clusterNotFoundResponseCode: notFoundCodes[kind] }),
      ...(path === undefined ? {} : pathRewrite(path)),
      ...hostRewrite(shares, rewrite?.hostname),
      timeout: duration(rule.requestTimeoutMs ?? 0),
      // Retries to local Services are their clusters'; the time of a try is always the route's.
      ...(form === "Local" && !hasTryTimeout
        ? {}
        : { retryPolicy: retryPolicy(form, rule.backendTimeoutMs) }),
      requestMirrorPolicies: mirrored.map(mirrorPolicy),
    });
  const clusters = [...open, ...mirrored.map(({ spec }) => spec)];
  if (!isWan) return { action: { case: "route", value: action("Local") }, clusters };
  return {
    action: { case: "route", value: action("WanUnserved") },
    repeatable: action("WanRepeatable"),
    clusters,
  };
}

interface Share {
  readonly weight: number;
  readonly filters: ReadRule["filters"];
  readonly spec: ClusterSpec | undefined;
}

type ActionInit = MessageInitShape<typeof RouteActionSchema>;

const hasOwnFilters = ({ headers, rewrite }: Share["filters"]): boolean =>
  rewrite !== undefined ||
  Object.values(headers as unknown as Record<string, unknown[]>).some((list) => list.length > 0);

/** Several clusters, or one whose share changes headers of its own. */
const isWeighted = (shares: readonly Share[]): boolean =>
  shares.length > 1 || shares.some(({ filters }) => hasOwnFilters(filters));

function clusterSpecifier(
  shares: readonly Share[],
  hostname: string | undefined,
): NonNullable<ActionInit["clusterSpecifier"]> {
  if (!isWeighted(shares)) return { case: "cluster", value: shares[0]?.spec?.name ?? closedCluster };
  const clusters = shares.map(({ weight, filters, spec }) => {
    const host = hostBehind(spec) ?? filters.rewrite?.hostname ?? hostname;
    return {
      name: spec?.name ?? closedCluster,
      weight,
      ...filters.headers,
      ...(host === undefined
        ? {}
        : { hostRewriteSpecifier: { case: "hostRewriteLiteral" as const, value: host } }),
    };
  });
  return { case: "weightedClusters", value: { clusters } };
}

/** What Host must be over the WAN, whatever a rule asks for: it chooses the service at the far end. */
function hostBehind(spec: ClusterSpec | undefined): string | undefined {
  if (spec === undefined || spec.form === "Service") return undefined;
  return spec.form === "Wan" ? spec.host : spec.remote.host;
}

/** Weighted clusters carry the rewrite of the host themselves. */
function hostRewrite(
  shares: readonly Share[],
  hostname: string | undefined,
): Pick<ActionInit, "hostRewriteSpecifier"> {
  const host = hostBehind(shares[0]?.spec) ?? hostname;
  if (host === undefined || isWeighted(shares)) return {};
  return { hostRewriteSpecifier: { case: "hostRewriteLiteral", value: host } };
}

function mirrorPolicy({
  mirror,
  spec,
}: {
  mirror: Mirror;
  spec: ClusterSpec;
}): MessageInitShape<typeof RouteAction_RequestMirrorPolicySchema> {
  const { numerator, denominator = 100 } = mirror.fraction ?? { numerator: mirror.percent ?? 100 };
  const share = Math.round((numerator / Math.max(1, denominator)) * 1_000_000);
  const defaultValue = {
    numerator: Math.min(1_000_000, share),
    denominator: FractionalPercent_DenominatorType.MILLION,
  };
  return { cluster: spec.name, runtimeFraction: { defaultValue }, disableShadowHostSuffixAppend: true };
}

/** The Envoy routes of one match: over the WAN a guard, then one for methods that may be repeated, then one for the rest. */
function routesOf(
  name: string,
  { rule, match, outcome }: { rule: ReadRule; match: TranslatedMatch; outcome: Outcome },
  place: Place,
): Route[] {
  const { arrivalPorts } = place;
  const arrival = arrivalPorts === undefined ? [] : [headerIsOneOf(arrivalHeader, arrivalPorts)];
  const when = (...more: HeaderMatcher[]): RouteMatch =>
    arrival.length + more.length === 0
      ? match.match
      : create(RouteMatchSchema, { ...match.match, headers: [...match.match.headers, ...arrival, ...more] });
  // A closed rule changes no headers: they may be what it was closed for.
  const headers = outcome.isClosed ? {} : rule.filters.headers;
  const main = create(RouteSchema, { name, match: when(), action: outcome.action, ...headers });
  const { repeatable } = outcome;
  if (repeatable === undefined) return [main];
  if (place.hasCrossed) return [create(RouteSchema, { name, match: when(), action: loopDetected })];

  const guard = create(RouteSchema, {
    name: `${name}/crossed`,
    match: when(hasCrossed),
    action: loopDetected,
  });
  const action = { case: "route" as const, value: repeatable };
  if (match.method === undefined) {
    const repeats = when(headerIsOneOf(":method", repeatableMethods));
    return [
      guard,
      create(RouteSchema, { name: `${name}/repeatable`, match: repeats, action, ...headers }),
      main,
    ];
  }
  if (!repeatableMethods.includes(match.method)) return [guard, main];
  return [guard, create(RouteSchema, { name, match: when(), action, ...headers })];
}
