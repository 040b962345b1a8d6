/** Orders that depend on nothing but their arguments: no locale, no insertion order. */
import type { ObjectMeta } from "./kube-object.ts";

/** By UTF-16 code unit. */
export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Oldest creation first, then by namespace and name: who wins where objects disagree (Gateway API, KEP-1645). */
export function byAge(a: { readonly metadata: ObjectMeta }, b: { readonly metadata: ObjectMeta }): number {
  return (
    compare(a.metadata.creationTimestamp ?? "~", b.metadata.creationTimestamp ?? "~") ||
    compare(a.metadata.namespace ?? "", b.metadata.namespace ?? "") ||
    compare(a.metadata.name, b.metadata.name)
  );
}

/** The entries of a Map in the order of their keys. */
export function sortedEntries<T>(map: ReadonlyMap<string, T>): [string, T][] {
  return [...map].sort(([a], [b]) => compare(a, b));
}
