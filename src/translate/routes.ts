/**
 * Rules of HTTPRoutes and GRPCRoutes → Envoy routes.
 *
 * A rule that can't be carried out answers 500 (gRPC: UNAVAILABLE), and so does a backend that can't be used for its share
 * of the weight: nothing ever falls to another backend. Only a rule's matches decide whether a request is its.
 *
 * Source: Gateway API, HTTPRouteRule, GRPCRouteRule; Envoy, config.route.v3.
 */
import { create } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import {
  HeaderMatcherSchema,
  RouteMatchSchema,
  RouteSchema,
} from "../envoy/envoy/config/route/v3/route_components_pb.ts";
import type { HeaderMatcher, Route, RouteMatch } from "../envoy/envoy/config/route/v3/route_components_pb.ts";
import { CorsPolicySchema } from "../envoy/envoy/extensions/filters/http/cors/v3/cors_pb.ts";
import { envoyRouteName, hopHeader } from "../model/names.ts";
import type { RouteKind } from "../model/kinds.ts";
import type { Problem } from "../model/problem.ts";
import { pack } from "./any.ts";
import { answer, closedOutcomes, outcomeOf } from "./actions.ts";
import type { Outcome, Resolutions } from "./actions.ts";
import type { ClusterSpec } from "./backends.ts";
import { corsFilterName } from "./cors.ts";
import type { Route as GatewayRoute } from "./gateway-api.ts";
import { arrivalHeader } from "./hop-headers.ts";
import { headerIsOneOf } from "./matches.ts";
import type { Rank, TranslatedMatch } from "./matches.ts";
import { pathShares } from "./path-shares.ts";
import type { ReadRoute, ReadRule } from "./read-route.ts";
import { repeatableMethods } from "./retries.ts";
/** Where a route is attached, as far as its Envoy routes depend on it. */
export interface Place {
  /** Port of the Gateway's listener, for redirects. */
  readonly listenerPort: number;
  /** Requests come in TLS there. */
  readonly isHttps?: boolean;
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

export function translateRoute(read: ReadRoute, resolutions: Resolutions, place: Place): TranslatedRoute {
  const { kind, route, rules, matchProblems } = read;
  const entries: RouteEntry[] = [];
  const problems: Problem[] = [...matchProblems];
  const clusters = new Set<ClusterSpec>();
  let isUsable = false;
  for (const [ruleIndex, rule] of rules.entries()) {
    const ruleProblems = [...matchProblems, ...rule.problems];
    for (const [matchIndex, match] of rule.matches.entries()) {
      const name = envoyRouteName(kind, route.metadata, { rule: ruleIndex, match: matchIndex });
      const shares = ruleProblems.length > 0 ? [] : pathShares(rule, match);
      const outcomes = shares.map((share) => ({
        share,
        outcome: outcomeOf(share.rule, share.match, {
          resolutions,
          listenerPort: place.listenerPort,
          isHttps: place.isHttps ?? false,
          kind,
        }),
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
    // What closes a backend without being wrong with the reference is told at the object that does.
    .filter((found): found is Problem => found !== undefined && "reason" in found && !("toldAt" in found));
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

const loopDetected = answer(508);
/** Set by every ingress: the request has come over the WAN. */
const hasCrossed = create(HeaderMatcherSchema, {
  name: hopHeader,
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- other members of the oneof are, this one is not
  headerMatchSpecifier: { case: "presentMatch", value: true },
});

/** The CORS policy as settings of a route. */
function corsOf({ filters: { cors } }: ReadRule): { typedPerFilterConfig?: Record<string, Any> } {
  return cors === undefined
    ? {}
    : { typedPerFilterConfig: { [corsFilterName]: pack(CorsPolicySchema, cors) } };
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
  const headers = outcome.isClosed ? {} : { ...rule.filters.headers, ...corsOf(rule) };
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
