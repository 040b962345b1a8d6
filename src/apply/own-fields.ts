/**
 * What our field manager has applied to an object, as the object's managedFields tell: whose the object is, and which
 * fields we once set that are no longer wanted. Pure.
 *
 * Source: Kubernetes, "Server-Side Apply", and sigs.k8s.io/structured-merge-diff, fieldpath (the format FieldsV1).
 */
import type { KubeObject } from "../model/kube-object.ts";
import { fieldManager, labels } from "../model/names.ts";

type Fields = Readonly<Record<string, unknown>>;

/** The fields that we applied to an object, or to its status; undefined if none. */
export function ownFields(object: KubeObject, subresource?: "status"): Fields | undefined {
  const entries = (object.metadata as { readonly managedFields?: unknown }).managedFields;
  if (!Array.isArray(entries)) return undefined;
  const own = (entries as readonly Fields[]).find(
    (entry) =>
      entry["manager"] === fieldManager &&
      entry["operation"] === "Apply" &&
      entry["subresource"] === subresource &&
      entry["apiVersion"] === object.apiVersion,
  );
  return own?.["fieldsV1"] as Fields | undefined;
}

/** Whether mc-wan made the object: it carries our label, or we applied it and somebody took the label away. */
export function isOurs(object: KubeObject): boolean {
  return hasOurLabel(object) || ownFields(object) !== undefined;
}

/** Whether the object carries our managed-by label. */
export function hasOurLabel(object: KubeObject): boolean {
  return object.metadata.labels?.[labels.managedBy] === labels.managedByValue;
}

/** Whether we own a field that the intent no longer has: applying the intent would remove it. */
export function ownsMoreThan(fields: Fields, intent: unknown): boolean {
  return Object.entries(fields).some(([path, below]) => {
    if (path === ".") return false;
    const child = childOf(path, intent);
    return child === undefined || ownsMoreThan(below as Fields, child);
  });
}

/** What an intent has at one step of a path; undefined if nothing. */
function childOf(path: string, intent: unknown): unknown {
  const step = path.slice(2);
  if (path.startsWith("f:")) {
    const isThere = typeof intent === "object" && intent !== null && Object.hasOwn(intent, step);
    return isThere ? (intent as Fields)[step] : undefined;
  }
  if (!Array.isArray(intent)) return undefined;
  const items = intent as readonly unknown[];
  if (path.startsWith("v:")) return items.find((item) => JSON.stringify(item) === step);
  if (path.startsWith("k:")) return items.find((item) => hasKeys(item, JSON.parse(step) as Fields));
  return items[Number(step)];
}

/** An intent may leave out a key that has a default (`protocol`). */
function hasKeys(item: unknown, keys: Fields): boolean {
  if (typeof item !== "object" || item === null) return false;
  return Object.entries(keys).every(([name, value]) => {
    const own = (item as Fields)[name];
    return own === undefined || own === value;
  });
}
