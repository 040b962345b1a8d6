/**
 * GRPCRoute matches → Envoy's RouteMatch, and their rank. A gRPC method is a path, `/<service>/<method>`, and metadata are
 * headers, so that everything behind a match is as with HTTPRoute.
 *
 * Source: Gateway API, GRPCRouteRule.matches (precedence), GRPCMethodMatch.
 */
import { reasons } from "../api/conditions.ts";
import type { Problem } from "../model/problem.ts";
import { re2Escape, re2Problem } from "../model/re2.ts";
import type { GRPCMatch, Match } from "./gateway-api.ts";
import { translateMatch } from "./matches.ts";
import type { TranslatedMatch } from "./matches.ts";

type Path = NonNullable<Match["path"]>;
type Method = NonNullable<GRPCMatch["method"]>;

/** Order of methods: exact ones, then regular expressions (their place is the implementation's choice), then any. */
const methodRank = { Exact: 0, RegularExpression: 1, Any: 2 } as const;

/** A match, or everything about it that Envoy can't do. */
export function translateGrpcMatch({
  method = {},
  headers,
}: GRPCMatch): TranslatedMatch | readonly Problem[] {
  const problems = methodProblems(method);
  if (problems.length > 0) return problems;
  const translated = translateMatch({
    path: pathOf(method),
    ...(headers === undefined ? {} : { headers }),
  });
  if (!("match" in translated)) return translated;
  const { type = "Exact", service = "", method: name = "" } = method;
  const form = service === "" && name === "" ? "Any" : type;
  const [, , , headerRank] = translated.rank;
  return {
    rank: [methodRank[form], -service.length, -name.length, headerRank, 0],
    match: translated.match,
    // No gateway may repeat what it can't tell to be harmless.
    method: "POST",
  };
}

function methodProblems({ type = "Exact", service, method }: Method): Problem[] {
  const refuse = (message: string): Problem => ({ reason: reasons.UnsupportedValue, message });
  if (!Object.hasOwn(methodRank, type)) {
    return [
      refuse(`Method matches of type "${type as string}" are not supported. Use Exact or RegularExpression.`),
    ];
  }
  if (type === "Exact") return [];
  // One by one: two halves of an expression must not be able to make a whole.
  return [service, method].flatMap((part) => {
    const problem = part === undefined ? undefined : re2Problem(part);
    return problem === undefined
      ? []
      : [refuse(`The regular expression "${(part ?? "").slice(0, 60)}" ${problem}. Write it as RE2 has it.`)];
  });
}

/** The path of a method, of all methods of a service, of a method of any service, or of every method. */
function pathOf({ type = "Exact", service, method }: Method): Path {
  if (service === undefined && method === undefined) return { type: "PathPrefix", value: "/" };
  if (type === "Exact" && service !== undefined) {
    return method === undefined
      ? { type: "PathPrefix", value: `/${service}` }
      : { type: "Exact", value: `/${service}/${method}` };
  }
  const expression = (part: string | undefined): string => {
    if (part === undefined) return "[^/]+";
    return type === "Exact" ? re2Escape(part) : `(?:${part})`;
  };
  return { type: "RegularExpression", value: `/${expression(service)}/${expression(method)}` };
}
