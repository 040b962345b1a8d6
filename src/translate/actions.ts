/**
 * What a rule does with the requests of a match → Envoy's action: clusters by weight, rewrites, mirrors, time-outs, retries,
 * or an answer at once.
 *
 * Source: Gateway API, HTTPRouteRule, GRPCRouteRule; Envoy, config.route.v3.RouteAction.
 */
import { create } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  DirectResponseActionSchema,
  RouteAction_ClusterNotFoundResponseCode,
  RouteActionSchema,
} from "../envoy/envoy/config/route/v3/route_components_pb.ts";
import type {
  Route,
  RouteAction,
  RouteAction_HashPolicySchema,
  RouteAction_RequestMirrorPolicySchema,
} from "../envoy/envoy/config/route/v3/route_components_pb.ts";
import { FractionalPercent_DenominatorType } from "../envoy/envoy/type/v3/percent_pb.ts";
import type { RouteKind } from "../model/kinds.ts";
import { closedCluster } from "../model/names.ts";
import type { Problem } from "../model/problem.ts";
import { hasAffinity } from "./backends.ts";
import type { BackendQuery, ClusterSpec } from "./backends.ts";
import { duration } from "./duration.ts";
import type { Mirror } from "./gateway-api.ts";
import type { TranslatedMatch } from "./matches.ts";
import type { ReadRule } from "./read-route.ts";
import { retryPolicy } from "./retries.ts";
import type { RetryForm } from "./retries.ts";
import { newPath, pathRewrite, translateRedirect } from "./rewrites.ts";

/** At the egress the client's own; at an ingress the last of X-Forwarded-For, which the egress wrote. */
const byClientAddress: MessageInitShape<typeof RouteAction_HashPolicySchema> = {
  policySpecifier: { case: "connectionProperties", value: { sourceIp: true } },
};

/** Where each reference leads. */
export type Resolutions = ReadonlyMap<BackendQuery, ClusterSpec | Problem | undefined>;
type Action = Route["action"];

/** What a rule does with its requests. */
export interface Outcome {
  readonly action: Exclude<Action, { case: undefined }>;
  /** Set where the request may cross the WAN: the action for methods that may be repeated. */
  readonly repeatable?: RouteAction;
  /** Clusters that it names. */
  readonly clusters: readonly ClusterSpec[];
  /** Nothing is done but answering. */
  readonly isClosed?: true;
}
/** An answer of the gateway's own. */
export const answer = (status: number): Extract<Action, { case: "directResponse" }> => ({
  case: "directResponse",
  value: create(DirectResponseActionSchema, { status }),
});

/** Envoy makes a gRPC status of an HTTP one where the request is gRPC: UNAVAILABLE of 503. */
export const closedOutcomes: Readonly<Record<RouteKind, Outcome>> = {
  HTTPRoute: { action: answer(500), clusters: [], isClosed: true },
  GRPCRoute: { action: answer(503), clusters: [], isClosed: true },
};
const { INTERNAL_SERVER_ERROR, SERVICE_UNAVAILABLE } = RouteAction_ClusterNotFoundResponseCode;
/** The same for the share of a backend that can't be used. */
const notFoundCodes: Readonly<Record<RouteKind, RouteAction_ClusterNotFoundResponseCode>> = {
  HTTPRoute: INTERNAL_SERVER_ERROR,
  GRPCRoute: SERVICE_UNAVAILABLE,
};

/** What an outcome depends on beside its rule. */
interface OutcomeInput {
  readonly resolutions: Resolutions;
  /** Port of the Gateway's listener, for redirects. */
  readonly listenerPort: number;
  readonly isHttps: boolean;
  readonly kind: RouteKind;
}

/** What a rule at one match does, or why it can't. */
export function outcomeOf(
  rule: ReadRule,
  match: TranslatedMatch,
  { resolutions, listenerPort, isHttps, kind }: OutcomeInput,
): Outcome | readonly Problem[] {
  const { redirect, rewrite } = rule.filters;
  if (redirect !== undefined) {
    const action = translateRedirect(redirect, {
      matchedPrefix: match.prefix,
      listenerPort,
      isHttps,
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
  const keepsClients = open.some(hasAffinity);
  const hasTryTimeout = (rule.backendTimeoutMs ?? 0) > 0;
  const action = (form: RetryForm): RouteAction =>
    create(RouteActionSchema, {
      clusterSpecifier: clusterSpecifier(shares, { hostname: rewrite?.hostname, keepsClients }),
      ...(open.length === shares.length ? {} : { clusterNotFoundResponseCode: notFoundCodes[kind] }),
      ...(path === undefined ? {} : pathRewrite(path)),
      ...hostRewrite(shares, rewrite?.hostname),
      ...(keepsClients ? { hashPolicy: [byClientAddress] } : {}),
      timeout: duration(rule.requestTimeoutMs ?? 0),
      // Retries to local Services are their clusters'; the time of a try is always the route's.
      ...(form === "Local" && !hasTryTimeout && rule.retry === undefined
        ? {}
        : { retryPolicy: retryPolicy(form, { perTryTimeoutMs: rule.backendTimeoutMs, rule: rule.retry }) }),
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
  { hostname, keepsClients }: { readonly hostname: string | undefined; readonly keepsClients: boolean },
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
  // A client that stays with an endpoint has to stay with a share first.
  const byHash = keepsClients
    ? { randomValueSpecifier: { case: "useHashPolicy" as const, value: { value: true } } }
    : {};
  return { case: "weightedClusters", value: { clusters, ...byHash } };
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
