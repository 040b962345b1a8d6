/**
 * Retry policies (section 5 of the specification): twice, another endpoint and priority first. What may be tried again
 * depends on what is known of the first try, and on the method.
 *
 * Source: Envoy, config.route.v3.RetryPolicy; the budget of 20 % is the clusters' (circuit breakers).
 */
import { create } from "@bufbuild/protobuf";
import { RetryPolicySchema } from "../envoy/envoy/config/route/v3/route_components_pb.ts";
import type { RetryPolicy } from "../envoy/envoy/config/route/v3/route_components_pb.ts";
import { PreviousHostsPredicateSchema } from "../envoy/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts_pb.ts";
import { PreviousPrioritiesConfigSchema } from "../envoy/envoy/extensions/retry/priority/previous_priorities/v3/previous_priorities_config_pb.ts";
import { pack } from "./any.ts";
import { duration } from "./duration.ts";
import { unservedHeader } from "./hop-headers.ts";
import { headerIs } from "./matches.ts";

/** Methods that a gateway may send twice though a backend may have seen the first. */
export const repeatableMethods: readonly string[] = ["GET", "HEAD", "OPTIONS"];

/** What makes a request be sent again. */
export type RetryForm =
  /** To a local Service: nothing was sent. */
  | "Local"
  /** Over the WAN: nothing reached a backend, by our own knowledge or by the ingress's mark. */
  | "WanUnserved"
  /** Over the WAN with a repeatable method: on resets and 502, 503, 504 too. */
  | "WanRepeatable";

const nothingSent = "connect-failure,refused-stream,reset-before-request";
const conditions: Readonly<Record<RetryForm, string>> = {
  Local: nothingSent,
  WanUnserved: `${nothingSent},retriable-headers`,
  WanRepeatable: `${nothingSent},retriable-headers,reset,gateway-error`,
};

/** What a rule says of retries (HTTPRouteRule.retry). */
export interface RuleRetry {
  /** How often a request is sent again. */
  readonly attempts: number;
  /** Answers for which it is. */
  readonly codes: readonly number[];
}

/** Retries where nothing says how many. */
export const defaultAttempts = 2;
/** Most retries that a rule may ask for: each is traffic that its author alone decides on. */
export const maxAttempts = 100;

/** Failed connections, resets and time-outs of a try always, as Gateway API says; answers by their status. */
const conditionsOf = ({ codes }: RuleRetry, form: RetryForm): string =>
  [
    `${nothingSent},reset`,
    ...(form === "Local" ? [] : ["retriable-headers"]),
    ...(codes.length === 0 ? [] : ["retriable-status-codes"]),
  ].join();

/** What is asked for beside the form. */
export interface RetryWishes {
  /** 0 or undefined: none. */
  readonly perTryTimeoutMs?: number | undefined;
  /** Holds for every method, in place of the form's conditions. */
  readonly rule?: RuleRetry | undefined;
}

/** A retry policy. */
export function retryPolicy(form: RetryForm, { perTryTimeoutMs, rule }: RetryWishes = {}): RetryPolicy {
  const predicate = pack(PreviousHostsPredicateSchema, {});
  const priority = pack(PreviousPrioritiesConfigSchema, { updateFrequency: 1 });
  return create(RetryPolicySchema, {
    retryOn: rule === undefined ? conditions[form] : conditionsOf(rule, form),
    retriableStatusCodes: [...(rule?.codes ?? [])],
    numRetries: rule?.attempts ?? defaultAttempts,
    retryHostPredicate: [
      {
        name: "envoy.retry_host_predicates.previous_hosts",
        configType: { case: "typedConfig", value: predicate },
      },
    ],
    // Many draws: a peer with most of the weight, whose gateways were all tried, must not be drawn again to the end.
    // (Of 500 draws at 99 % of the weight, 0.7 % end there.) Pods of a local Service weigh all the same.
    hostSelectionRetryMaxAttempts: form === "Local" ? 30n : 500n,
    ...(form === "Local"
      ? {}
      : {
          retriableHeaders: [headerIs(unservedHeader, "true")],
          retryPriority: {
            name: "envoy.retry_priorities.previous_priorities",
            configType: { case: "typedConfig", value: priority },
          },
        }),
    ...(perTryTimeoutMs === undefined || perTryTimeoutMs === 0
      ? {}
      : { perTryTimeout: duration(perTryTimeoutMs) }),
  });
}
