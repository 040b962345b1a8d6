/**
 * Rewrites of the path at backendRefs. Envoy rewrites paths by route, not by weighted cluster: a rule whose backendRefs
 * differ in their paths becomes a route for each of them, each with its share of the requests.
 *
 * Source: Gateway API, HTTPBackendRef.filters; Envoy, config.route.v3.RouteMatch.runtime_fraction.
 */
import { create } from "@bufbuild/protobuf";
import { RuntimeFractionalPercentSchema } from "../envoy/envoy/config/core/v3/base_pb.ts";
import { RouteMatchSchema } from "../envoy/envoy/config/route/v3/route_components_pb.ts";
import { FractionalPercent_DenominatorType } from "../envoy/envoy/type/v3/percent_pb.ts";
import type { TranslatedMatch } from "./matches.ts";
import type { ReadRule } from "./read-route.ts";

/** A rule for some of the requests of a match. */
interface RuleShare {
  /** Its path is rewritten for all of its backends alike. */
  readonly rule: ReadRule;
  /** What is left of the match after the shares before it. */
  readonly match: TranslatedMatch;
}

/** The shares of a rule at one of its matches, in order; almost always one. A backendRef's path replaces the rule's. */
export function pathShares(rule: ReadRule, match: TranslatedMatch): readonly RuleShare[] {
  const backends = rule.backends.filter(({ weight }) => weight > 0);
  const paths = backends.map(({ filters }) => filters.rewrite?.path);
  if (paths.every((path) => path === undefined)) return [{ rule, match }];
  const [first] = paths;
  if (paths.every((path) => JSON.stringify(path) === JSON.stringify(first)))
    return [{ rule: withPath(rule, first, backends), match }];
  const total = backends.reduce((before, { weight }) => before + weight, 0);
  let sum = 0;
  return backends.map((backend, index) => {
    sum += backend.weight;
    const isLast = index === backends.length - 1;
    return {
      rule: withPath(rule, paths[index], [backend]),
      match: isLast ? match : drawn(match, sum / total),
    };
  });
}

/** The match for a share of the requests. Envoy draws once for each request: the bounds of shares are sums. */
function drawn(match: TranslatedMatch, upTo: number): TranslatedMatch {
  const runtimeFraction = create(RuntimeFractionalPercentSchema, {
    defaultValue: {
      numerator: Math.round(upTo * 1_000_000),
      denominator: FractionalPercent_DenominatorType.MILLION,
    },
  });
  return { ...match, match: create(RouteMatchSchema, { ...match.match, runtimeFraction }) };
}

type Path = NonNullable<ReadRule["filters"]["rewrite"]>["path"];

function withPath(rule: ReadRule, path: Path, backends: ReadRule["backends"]): ReadRule {
  if (path === undefined) return { ...rule, backends };
  return { ...rule, backends, filters: { ...rule.filters, rewrite: { ...rule.filters.rewrite, path } } };
}
