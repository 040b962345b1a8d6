/**
 * Hostnames as Gateway API and Envoy see them: `a.example.com`, `*.example.com` (any number of labels before the
 * suffix, at least one), `*` (every name). Two of them are nested or have no name in common.
 */
import { compare } from "../model/order.ts";

/** Every name: what a listener or route without hostnames means. */
export const anyHost = "*";

/** As Envoy compares: lower case. */
export function normalizeHost(hostname: string): string {
  return hostname.toLowerCase();
}

/** Whether `outer` matches every name that `inner` matches. */
function covers(outer: string, inner: string): boolean {
  if (outer === anyHost || outer === inner) return true;
  return outer.startsWith("*.") && inner !== anyHost && inner.endsWith(outer.slice(1));
}

/** The names that both match; undefined if there are none. */
function intersection(a: string, b: string): string | undefined {
  if (covers(a, b)) return b;
  return covers(b, a) ? a : undefined;
}

/** All intersections of two lists, sorted, without doubles. */
export function intersections(a: readonly string[], b: readonly string[]): string[] {
  const found = a.flatMap((one) => b.map((other) => intersection(one, other)));
  return [...new Set(found.filter((hostname) => hostname !== undefined))].sort(compare);
}

/** The wildcards that cover a hostname, itself excluded, the most specific first. */
export function wildcardsAbove(hostname: string): string[] {
  if (hostname === anyHost) return [];
  const labels = hostname.split(".");
  const above = labels.slice(1).map((_, index) => `*.${labels.slice(index + 1).join(".")}`);
  return [...above.filter((wildcard) => wildcard !== hostname), anyHost];
}
