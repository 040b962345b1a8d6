/** From an object as the API gives it to the key of its kind, and Stores out of a list of such objects. */
import { kinds } from "../src/model/kinds.ts";
import type { KindName } from "../src/model/kinds.ts";
import { keyOf } from "../src/model/kube-object.ts";
import type { KubeObject } from "../src/model/kube-object.ts";

/** The key of an object's kind. Throws for a kind that mc-wan has nothing to do with. */
export function kindOf({ apiVersion, kind }: KubeObject): KindName {
  for (const [name, info] of Object.entries(kinds)) {
    if (info.kind === kind && info.apiVersion === apiVersion) return name as KindName;
  }
  throw new Error(`${apiVersion} ${kind} is no kind of ours`);
}

/** A Store for each of these kinds; objects of other kinds are left out. */
export function storesOf<Name extends KindName>(
  names: readonly Name[],
  objects: readonly KubeObject[],
): Record<Name, ReadonlyMap<string, KubeObject>> {
  const stores = Object.fromEntries(names.map((name) => [name, new Map<string, KubeObject>()]));
  for (const object of objects) stores[kindOf(object)]?.set(keyOf(object.metadata), object);
  return stores as Record<Name, Map<string, KubeObject>>;
}
