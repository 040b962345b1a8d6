/**
 * CORS filter → Envoy's policy for a route. Envoy answers preflight requests itself, those of origins that are not allowed
 * too (without any grant), and adds what is granted to other responses.
 *
 * Source: Gateway API, HTTPCORSFilter; Envoy, extensions.filters.http.cors.v3.
 */
import { create } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { reasons } from "../api/conditions.ts";
import { CorsPolicySchema, CorsSchema } from "../envoy/envoy/extensions/filters/http/cors/v3/cors_pb.ts";
import type { CorsPolicy } from "../envoy/envoy/extensions/filters/http/cors/v3/cors_pb.ts";
import type { StringMatcherSchema } from "../envoy/envoy/type/matcher/v3/string_pb.ts";
import type { Problem } from "../model/problem.ts";
import { re2Escape } from "../model/re2.ts";
import { pack } from "./any.ts";
import type { Cors } from "./gateway-api.ts";

/** The filter's name, in a listener and in the settings of a route. */
export const corsFilterName = "envoy.filters.http.cors";

/** The filter of a listener; it does nothing where the route has no policy. */
export const corsFilter = {
  name: corsFilterName,
  configType: { case: "typedConfig", value: pack(CorsSchema, {}) },
} as const;

/** What a client may keep an answer for if the filter doesn't say, in seconds: the default of the CRD. */
const defaultMaxAge = 5;

/** The policy of a filter, or why it can't be carried out. */
export function corsPolicy(cors: Cors): CorsPolicy | Problem {
  const origins: MessageInitShape<typeof StringMatcherSchema>[] = [];
  for (const origin of cors.allowOrigins ?? []) {
    const regex = originRegex(origin);
    if (regex === undefined) {
      return {
        reason: reasons.UnsupportedValue,
        message: `"${origin.slice(0, 60)}" is not an origin: write <scheme>://<host>, with a port if need be, or "*".`,
      };
    }
    origins.push({ matchPattern: { case: "safeRegex", value: { regex } } });
  }
  return create(CorsPolicySchema, {
    allowOriginStringMatch: origins,
    allowMethods: (cors.allowMethods ?? []).join(", "),
    allowHeaders: (cors.allowHeaders ?? []).join(", "),
    exposeHeaders: (cors.exposeHeaders ?? []).join(", "),
    maxAge: String(cors.maxAge ?? defaultMaxAge),
    // Left out, not false: the header is then not sent at all.
    ...(cors.allowCredentials === true ? { allowCredentials: true } : {}),
    forwardNotMatchingPreflights: false,
  });
}

const defaultPorts: Readonly<Record<string, string>> = { http: "80", https: "443" };

/** An origin as an RE2 expression: `*` stands for any host or any labels before the rest, never for a scheme or a port. */
function originRegex(origin: string): string | undefined {
  if (origin === "*") return ".*";
  const parts = /^(https?):\/\/([^/:?#@]+)(?::([0-9]{1,5}))?$/.exec(origin);
  if (parts === null) return undefined;
  const [, scheme = "", host = "", port] = parts;
  const hostRegex = host.split("*").map(re2Escape).join("[^/:]*");
  // Browsers leave out the scheme's own port.
  const isDefault = port === undefined || port === defaultPorts[scheme];
  const portRegex = isDefault ? `(?::${defaultPorts[scheme] ?? ""})?` : `:${port}`;
  return `${scheme}://${hostRegex}${portRegex}`;
}
