/**
 * URLRewrite and RequestRedirect → the fields of Envoy's RouteAction and RedirectAction.
 *
 * Source: Gateway API, HTTPPathModifier (its table of prefixes); Envoy, config.route.v3.
 */
import { create } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { reasons } from "../api/conditions.ts";
import {
  RedirectAction_RedirectResponseCode,
  RedirectActionSchema,
} from "../envoy/envoy/config/route/v3/route_components_pb.ts";
import type { RedirectAction } from "../envoy/envoy/config/route/v3/route_components_pb.ts";
import type { RegexMatchAndSubstituteSchema } from "../envoy/envoy/type/matcher/v3/regex_pb.ts";
import type { Problem } from "../model/problem.ts";
import { re2Escape } from "../model/re2.ts";
import type { PathModifier, Redirect } from "./gateway-api.ts";

type Substitution = MessageInitShape<typeof RegexMatchAndSubstituteSchema>;

/** Envoy refuses a route table that has one in a path, and with it the routes of all others. */
// eslint-disable-next-line no-control-regex -- control characters are what is looked for
const controlCharacter = /[\u0000-\u001f\u007f]/;

/** A new path: a whole one, a prefix in place of the matched one, or a substitution; Envoy has fields for each. */
type NewPath =
  | { readonly form: "Full"; readonly path: string }
  | { readonly form: "Prefix"; readonly prefix: string }
  | { readonly form: "Regex"; readonly substitution: Substitution };

/** The new path of a modifier at a match whose prefix is given (undefined: the match has none). */
export function newPath(modifier: PathModifier, matchedPrefix: string | undefined): NewPath | Problem {
  if (modifier.type === "ReplaceFullPath" && modifier.replaceFullPath !== undefined) {
    const path = modifier.replaceFullPath;
    if (controlCharacter.test(path))
      return unsupported("The new path holds a control character. Take it out.");
    return path.startsWith("/")
      ? { form: "Full", path }
      : unsupported(`The path "${path}" must start with "/".`);
  }
  if (modifier.type !== "ReplacePrefixMatch" || modifier.replacePrefixMatch === undefined) {
    return unsupported(
      `Path modifiers of type "${modifier.type}" are not supported, or it lacks its value. Use ReplaceFullPath or ReplacePrefixMatch.`,
    );
  }
  if (matchedPrefix === undefined)
    return unsupported(
      "ReplacePrefixMatch needs a PathPrefix match in its rule. Add one, or use ReplaceFullPath.",
    );
  const replacement = modifier.replacePrefixMatch.replace(/\/+$/, "");
  if (controlCharacter.test(replacement))
    return unsupported("The new path holds a control character. Take it out.");
  if (replacement !== "" && !replacement.startsWith("/")) {
    return unsupported(`The path prefix "${replacement}" must start with "/".`);
  }
  if (matchedPrefix === "") return { form: "Prefix", prefix: `${replacement}/` };
  if (replacement !== "") return { form: "Prefix", prefix: replacement };
  // Replacing /foo by / as a prefix would make //bar of /foo/bar.
  return { form: "Regex", substitution: substitute(`^${re2Escape(matchedPrefix)}/*`, "/") };
}

/** The fields of a RouteAction for a new path. */
export function pathRewrite(path: NewPath): { prefixRewrite: string } | { regexRewrite: Substitution } {
  switch (path.form) {
    case "Full":
      return { regexRewrite: substitute("^/.*$", path.path) };
    case "Prefix":
      return { prefixRewrite: path.prefix };
    case "Regex":
      return { regexRewrite: path.substitution };
  }
}

/** A substitution that puts a fixed text in place of what the expression matches. */
function substitute(regex: string, text: string): Substitution {
  // A backslash and a digit would name a group.
  return { pattern: { regex }, substitution: text.replaceAll("\\", "\\\\") };
}

const responseCodes: Readonly<Record<number, RedirectAction_RedirectResponseCode>> = {
  301: RedirectAction_RedirectResponseCode.MOVED_PERMANENTLY,
  302: RedirectAction_RedirectResponseCode.FOUND,
  303: RedirectAction_RedirectResponseCode.SEE_OTHER,
  307: RedirectAction_RedirectResponseCode.TEMPORARY_REDIRECT,
  308: RedirectAction_RedirectResponseCode.PERMANENT_REDIRECT,
};
const defaultPorts: Readonly<Record<string, number>> = { http: 80, https: 443 };

/** Where a redirect stands: it fills in what the redirect leaves out. */
export interface RedirectPlace {
  readonly matchedPrefix: string | undefined;
  /** Port of the Gateway's listener. */
  readonly listenerPort: number;
  /** Requests come in TLS. */
  readonly isHttps?: boolean;
}

/** A RequestRedirect, or why Envoy can't do it. */
export function translateRedirect(redirect: Redirect, place: RedirectPlace): RedirectAction | Problem {
  const path = redirect.path === undefined ? undefined : newPath(redirect.path, place.matchedPrefix);
  if (path !== undefined && "reason" in path) return path;
  const responseCode = responseCodes[redirect.statusCode ?? 302];
  if (responseCode === undefined)
    return unsupported(
      `Redirects with status ${redirect.statusCode} are not supported. Use 301, 302, 303, 307 or 308.`,
    );
  const scheme = redirect.scheme;
  return create(RedirectActionSchema, {
    responseCode,
    ...(scheme === undefined ? {} : { schemeRewriteSpecifier: { case: "schemeRedirect", value: scheme } }),
    hostRedirect: redirect.hostname ?? "",
    portRedirect: redirectPort(redirect, place),
    ...(path === undefined ? {} : { pathRewriteSpecifier: redirectPath(path) }),
  });
}

type PathRewrite = NonNullable<MessageInitShape<typeof RedirectActionSchema>["pathRewriteSpecifier"]>;

function redirectPath(path: NewPath): PathRewrite {
  switch (path.form) {
    case "Full":
      return { case: "pathRedirect", value: path.path };
    case "Prefix":
      return { case: "prefixRewrite", value: path.prefix };
    case "Regex":
      return { case: "regexRewrite", value: path.substitution };
  }
}

/**
 * The port in Location: the redirect's own, else the new scheme's, else the listener's. Left out (0) where it is the
 * scheme's default and Envoy's own answer holds none.
 */
function redirectPort(redirect: Redirect, { listenerPort, isHttps = false }: RedirectPlace): number {
  const ownScheme = isHttps ? "https" : "http";
  const scheme = redirect.scheme ?? ownScheme;
  const port =
    redirect.port ?? (redirect.scheme === undefined ? listenerPort : (defaultPorts[scheme] ?? listenerPort));
  if (port !== defaultPorts[scheme]) return port;
  // Without a new host Envoy keeps the request's port, which a client sends if the listener's port is not the default.
  return redirect.hostname !== undefined || listenerPort === defaultPorts[ownScheme] ? 0 : port;
}

function unsupported(message: string): Problem {
  return { reason: reasons.UnsupportedValue, message };
}
