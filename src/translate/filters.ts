/**
 * HTTPRoute filters, read and checked: what a rule or a backendRef does to requests and responses. A filter that can't be
 * carried out is a Problem, and the caller closes the rule: it is never left out in silence.
 *
 * Source: Gateway API, HTTPRouteFilter; Envoy, config.core.v3.HeaderValueOption.
 */
import { create } from "@bufbuild/protobuf";
import { reasons } from "../api/conditions.ts";
import {
  HeaderValueOption_HeaderAppendAction,
  HeaderValueOptionSchema,
} from "../envoy/envoy/config/core/v3/base_pb.ts";
import type { HeaderValueOption } from "../envoy/envoy/config/core/v3/base_pb.ts";
import { clientHeader, hopHeader, portHeader } from "../model/names.ts";
import type { CorsPolicy } from "../envoy/envoy/extensions/filters/http/cors/v3/cors_pb.ts";
import type { Problem } from "../model/problem.ts";
import { corsPolicy } from "./cors.ts";
import type { Filter, HeaderModifier, Mirror, Redirect, Rewrite } from "./gateway-api.ts";

/** Changes of headers, in Envoy's terms: routes, weights and tables have fields of these names. */
interface HeaderChanges {
  readonly requestHeadersToAdd: HeaderValueOption[];
  readonly requestHeadersToRemove: string[];
  readonly responseHeadersToAdd: HeaderValueOption[];
  readonly responseHeadersToRemove: string[];
}

export interface Filters {
  readonly headers: HeaderChanges;
  readonly redirect?: Redirect;
  readonly rewrite?: Rewrite;
  readonly mirrors: readonly Mirror[];
  readonly cors?: CorsPolicy;
  /** The port of a multi-port service that the filters choose, as a decimal number. */
  readonly wanPort?: string;
  readonly problems: readonly Problem[];
}

/** What can be done for a backendRef alone. */
const backendFilters: readonly string[] = ["RequestHeaderModifier", "ResponseHeaderModifier", "URLRewrite"];

/** Reads the filters of a rule or of one of its backendRefs. */
export function readFilters(filters: readonly Filter[], level: "Rule" | "BackendRef"): Filters {
  const headers: HeaderChanges = {
    requestHeadersToAdd: [],
    requestHeadersToRemove: [],
    responseHeadersToAdd: [],
    responseHeadersToRemove: [],
  };
  const problems: Problem[] = [];
  const found: Found = { mirrors: [] };
  for (const filter of filters) {
    if (level === "BackendRef" && !backendFilters.includes(filter.type)) {
      problems.push(
        unsupported(`A ${filter.type} filter is not supported at a backendRef: put it at the rule.`),
      );
      continue;
    }
    const problem = readFilter(filter, headers, found);
    if (problem !== undefined) problems.push(problem);
  }
  if (found.redirect !== undefined && found.rewrite !== undefined) {
    problems.push({
      reason: reasons.IncompatibleFilters,
      message: "URLRewrite and RequestRedirect exclude each other: keep one of them.",
    });
  }
  const changes = [...headers.requestHeadersToAdd, ...headers.responseHeadersToAdd].map(
    ({ header }) => header,
  );
  problems.push(...changes.flatMap((header) => headerProblem(header?.key ?? "", header?.value ?? "") ?? []));
  const removals = [...headers.requestHeadersToRemove, ...headers.responseHeadersToRemove];
  problems.push(...removals.flatMap((name) => headerProblem(name, "") ?? []));
  return { headers, ...found, problems };
}

/** What is read so far. */
interface Found {
  redirect?: Redirect;
  rewrite?: Rewrite;
  mirrors: Mirror[];
  cors?: CorsPolicy;
  wanPort?: string;
}

function readFilter(filter: Filter, headers: HeaderChanges, found: Found): Problem | undefined {
  const { requestHeaderModifier, responseHeaderModifier, requestRedirect, urlRewrite } = filter;
  const { requestMirror, cors } = filter;
  if (filter.type === "RequestHeaderModifier" && requestHeaderModifier !== undefined) {
    headers.requestHeadersToAdd.push(...headerOptions(requestHeaderModifier));
    headers.requestHeadersToRemove.push(...(requestHeaderModifier.remove ?? []));
    const port = (requestHeaderModifier.set ?? []).find(({ name }) => name.toLowerCase() === portHeader);
    if (port !== undefined) found.wanPort = port.value;
  } else if (filter.type === "ResponseHeaderModifier" && responseHeaderModifier !== undefined) {
    headers.responseHeadersToAdd.push(...headerOptions(responseHeaderModifier));
    headers.responseHeadersToRemove.push(...(responseHeaderModifier.remove ?? []));
  } else if (filter.type === "RequestRedirect" && requestRedirect !== undefined) {
    found.redirect ??= requestRedirect;
  } else if (filter.type === "URLRewrite" && urlRewrite !== undefined) {
    found.rewrite ??= urlRewrite;
  } else if (filter.type === "RequestMirror" && requestMirror !== undefined) {
    found.mirrors.push(requestMirror);
  } else if (filter.type === "CORS" && cors !== undefined) {
    const policy = corsPolicy(cors);
    if ("reason" in policy) return policy;
    found.cors ??= policy;
  } else {
    return unsupported(
      `Filters of type ${filter.type} are not supported, or the filter lacks its settings. Take it out, or complete it.`,
    );
  }
  return undefined;
}

function headerOptions(modifier: HeaderModifier): HeaderValueOption[] {
  const { APPEND_IF_EXISTS_OR_ADD, OVERWRITE_IF_EXISTS_OR_ADD } = HeaderValueOption_HeaderAppendAction;
  return [
    ...(modifier.set ?? []).map((header) => headerOption(header, OVERWRITE_IF_EXISTS_OR_ADD)),
    ...(modifier.add ?? []).map((header) => headerOption(header, APPEND_IF_EXISTS_OR_ADD)),
  ];
}

function headerOption(
  header: { readonly name: string; readonly value: string },
  appendAction: HeaderValueOption_HeaderAppendAction,
): HeaderValueOption {
  // A % would start one of Envoy's formatters, which read any header, certificate or metadata.
  const value = header.value.replaceAll("%", "%%");
  return create(HeaderValueOptionSchema, {
    header: { key: header.name, value },
    appendAction,
    keepEmptyValue: true,
  });
}

/** A header that is set to a fixed value, whatever was there. */
export function setHeader(key: string, value: string): HeaderValueOption {
  return headerOption({ name: key, value }, HeaderValueOption_HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD);
}

/** Headers that decide where a request goes or how Envoy treats it: no filter may change them. */
function headerProblem(name: string, value: string): Problem | undefined {
  const lower = name.toLowerCase();
  if (lower.startsWith(":") || lower === "host") {
    return unsupported(`The header "${name}" can't be changed by a filter: use URLRewrite.`);
  }
  if (lower.startsWith("x-envoy-") || lower === hopHeader || lower === clientHeader) {
    return unsupported(
      `The header "${name}" belongs to the gateway and can't be changed by a filter. Take it out.`,
    );
  }
  if (!/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(name))
    return unsupported(`"${name}" is not a header's name. Correct it.`);
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  if (/[\u0000-\u0008\u000a-\u001f\u007f]/.test(value)) {
    return unsupported(`The value of header "${name}" holds control characters. Take them out.`);
  }
  return undefined;
}

function unsupported(message: string): Problem {
  return { reason: reasons.UnsupportedValue, message };
}
