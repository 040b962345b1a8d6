/** Where an object, or a collection of them, is in the API. */
import type { KindInfo } from "../../model/kinds.ts";

/** What part of a kind is meant. */
export interface PathTarget {
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
  readonly subresource?: "status";
  readonly query?: Readonly<Record<string, string | undefined>>;
}

/** The path and query of a request, without the server's own prefix. */
export function kubePath(kind: KindInfo, target: PathTarget): string {
  const root = kind.apiVersion.includes("/") ? "apis" : "api";
  const parts = [root, ...kind.apiVersion.split("/")];
  if (kind.namespaced && target.namespace !== undefined) parts.push("namespaces", target.namespace);
  parts.push(kind.plural);
  if (target.name !== undefined) parts.push(target.name);
  if (target.subresource !== undefined) parts.push(target.subresource);
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(target.query ?? {}))
    if (value !== undefined) query.set(key, value);
  const search = query.toString();
  return `/${parts.map(encodeURIComponent).join("/")}${search === "" ? "" : `?${search}`}`;
}
