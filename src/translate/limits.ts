/**
 * How many requests an egress gateway lets through in a second → what a virtual host says to the filter that counts them.
 *
 * Source: Envoy, extensions.filters.http.local_ratelimit.v3.LocalRateLimit.
 */
import type { Any } from "@bufbuild/protobuf/wkt";
import { LocalRateLimitSchema } from "../envoy/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.ts";
import { FractionalPercent_DenominatorType } from "../envoy/envoy/type/v3/percent_pb.ts";
import { pack } from "./any.ts";
import { duration } from "./duration.ts";

/** The filter that counts requests. */
export const limitFilterName = "mc-wan.limit";

const always = {
  defaultValue: { numerator: 100, denominator: FractionalPercent_DenominatorType.HUNDRED },
};

/** Without a bucket: it counts only where a virtual host gives it one. */
export const limitFilter = {
  name: limitFilterName,
  configType: {
    case: "typedConfig" as const,
    value: pack(LocalRateLimitSchema, { statPrefix: "limit" }),
  },
};

/** So many requests in a second, and as many at once after a second without any. More get 429, gRPC RESOURCE_EXHAUSTED. */
export function requestRate(perSecond: number): Any {
  return pack(LocalRateLimitSchema, {
    statPrefix: "limit",
    tokenBucket: { maxTokens: perSecond, tokensPerFill: perSecond, fillInterval: duration(1_000) },
    filterEnabled: always,
    filterEnforced: always,
    rateLimitedAsResourceExhausted: true,
  });
}
