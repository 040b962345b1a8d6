/**
 * HTTPRoute matches → Envoy's RouteMatch, and their rank: which match is tried first.
 *
 * Source: Gateway API, HTTPRouteRule.matches (precedence); Envoy, config.route.v3.RouteMatch.
 */
import { create } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { reasons } from "../api/conditions.ts";
import {
  HeaderMatcherSchema,
  QueryParameterMatcherSchema,
  RouteMatchSchema,
} from "../envoy/envoy/config/route/v3/route_components_pb.ts";
import type {
  HeaderMatcher,
  QueryParameterMatcher,
  RouteMatch,
} from "../envoy/envoy/config/route/v3/route_components_pb.ts";
import type { StringMatcherSchema } from "../envoy/envoy/type/matcher/v3/string_pb.ts";
import type { Problem } from "../model/problem.ts";
import { re2Problem } from "../model/re2.ts";
import type { Match } from "./gateway-api.ts";

/** Compared item by item, the smaller first: path kind, path length, method, number of headers, of query parameters. */
export type Rank = readonly [
  path: number,
  length: number,
  method: number,
  headers: number,
  queryParams: number,
];

export interface TranslatedMatch {
  readonly rank: Rank;
  readonly match: RouteMatch;
  /** The path prefix without its last slash, where the match is one: what a rewrite of the prefix replaces. */
  readonly prefix?: string;
  /** The HTTP method, where the match names one. */
  readonly method?: string;
}

type PathSpecifier = NonNullable<MessageInitShape<typeof RouteMatchSchema>["pathSpecifier"]>;

/** Order of paths: Exact, then regular expressions (their place is the implementation's choice), then prefixes. */
const pathRank = { Exact: 0, RegularExpression: 1, PathPrefix: 2 } as const;

export function compareRank(a: Rank, b: Rank): number {
  for (const [index, item] of a.entries()) {
    const difference = item - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** A match, or everything about it that Envoy can't do. */
export function translateMatch(match: Match): TranslatedMatch | readonly Problem[] {
  const problems: Problem[] = [];
  const path = translatePath(match, problems);
  const headers = firstOfName(match.headers ?? [], (name) => name.toLowerCase()).map((header) =>
    create(HeaderMatcherSchema, {
      name: header.name.toLowerCase(),
      // eslint-disable-next-line @typescript-eslint/no-deprecated -- other members of the oneof are, this one is not
      headerMatchSpecifier: { case: "stringMatch", value: stringMatcher(header, problems) },
    }),
  );
  const queryParameters = firstOfName(match.queryParams ?? [], (name) => name).map(
    (param): QueryParameterMatcher =>
      create(QueryParameterMatcherSchema, {
        name: param.name,
        queryParameterMatchSpecifier: { case: "stringMatch", value: stringMatcher(param, problems) },
      }),
  );
  if (problems.length > 0 || path === undefined) return problems;
  const method = match.method === undefined ? [] : [headerIs(":method", match.method)];
  return {
    rank: [path.rank, -path.length, -method.length, -headers.length, -queryParameters.length],
    match: create(RouteMatchSchema, {
      pathSpecifier: path.specifier,
      headers: [...method, ...headers],
      queryParameters,
    }),
    ...(path.prefix === undefined ? {} : { prefix: path.prefix }),
    ...(match.method === undefined ? {} : { method: match.method }),
  };
}

/** A header that has exactly this value. */
export function headerIs(name: string, value: string): HeaderMatcher {
  return headerMatches(name, { case: "exact", value });
}

/** A header whose value begins with this. */
export function headerBegins(name: string, value: string): HeaderMatcher {
  return headerMatches(name, { case: "prefix", value });
}

/** A header with one of these values. */
export function headerIsOneOf(name: string, values: readonly (string | number)[]): HeaderMatcher {
  return headerMatches(name, { case: "safeRegex", value: { regex: values.join("|") } });
}

function headerMatches(
  name: string,
  matchPattern: NonNullable<MessageInitShape<typeof StringMatcherSchema>["matchPattern"]>,
): HeaderMatcher {
  return create(HeaderMatcherSchema, {
    name,
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- other members of the oneof are, this one is not
    headerMatchSpecifier: { case: "stringMatch", value: { matchPattern } },
  });
}

interface TranslatedPath {
  readonly rank: number;
  readonly length: number;
  readonly specifier: PathSpecifier;
  readonly prefix?: string;
}

function translatePath(match: Match, problems: Problem[]): TranslatedPath | undefined {
  const type = match.path?.type ?? "PathPrefix";
  const value = match.path?.value ?? "/";
  switch (type) {
    case "Exact":
      if (!value.startsWith("/")) problems.push(unsupported(`The path "${value}" must start with "/".`));
      return { rank: pathRank[type], length: value.length, specifier: { case: "path", value } };
    case "RegularExpression":
      checkRegex(value, problems);
      return {
        rank: pathRank[type],
        length: value.length,
        specifier: { case: "safeRegex", value: { regex: value } },
      };
    case "PathPrefix":
      return prefixPath(value, problems);
    default:
      problems.push(
        unsupported(
          `Path matches of type "${String(type)}" are not supported. Use Exact, PathPrefix or RegularExpression.`,
        ),
      );
      return undefined;
  }
}

/** A prefix matches whole path elements: /foo matches /foo and /foo/bar, not /foobar. */
function prefixPath(value: string, problems: Problem[]): TranslatedPath {
  if (!value.startsWith("/") || /[?#]/.test(value)) {
    problems.push(unsupported(`The path prefix "${value}" must start with "/" and hold no "?" or "#".`));
  }
  const prefix = value.replace(/\/+$/, "");
  const specifier: PathSpecifier =
    prefix === "" ? { case: "prefix", value: "/" } : { case: "pathSeparatedPrefix", value: prefix };
  return { rank: pathRank.PathPrefix, length: prefix.length, specifier, prefix };
}

function stringMatcher(
  match: { readonly name: string; readonly type?: string; readonly value: string },
  problems: Problem[],
): MessageInitShape<typeof StringMatcherSchema> {
  if (match.type === "RegularExpression") {
    checkRegex(match.value, problems);
    return { matchPattern: { case: "safeRegex", value: { regex: match.value } } };
  }
  if (match.type !== undefined && match.type !== "Exact") {
    problems.push(
      unsupported(
        `Matches of type "${match.type}" (${match.name}) are not supported. Use Exact or RegularExpression.`,
      ),
    );
  }
  return { matchPattern: { case: "exact", value: match.value } };
}

function checkRegex(regex: string, problems: Problem[]): void {
  const problem = re2Problem(regex);
  if (problem !== undefined)
    problems.push(
      unsupported(`The regular expression "${regex.slice(0, 60)}" ${problem}. Write it as RE2 has it.`),
    );
}

function unsupported(message: string): Problem {
  return { reason: reasons.UnsupportedValue, message };
}

/** Of several matches on one name only the first counts (Gateway API). */
function firstOfName<T extends { readonly name: string }>(
  matches: readonly T[],
  keyOf: (name: string) => string,
): T[] {
  const seen = new Set<string>();
  return matches.filter(({ name }) => {
    const key = keyOf(name);
    const isNew = !seen.has(key);
    seen.add(key);
    return isNew;
  });
}
