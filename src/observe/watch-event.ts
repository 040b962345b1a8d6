/**
 * What one line of a watch means, and how a new list meets the objects that are held: the pure half of the reflector.
 *
 * A line is never skipped in silence: what can't be understood asks for a new list.
 */
import { isRecord } from "../model/record.ts";
import type { KindInfo } from "../model/kinds.ts";
import type { KubeObject } from "../model/kube-object.ts";
import { keyOf } from "../model/kube-object.ts";
import { fieldManager } from "../model/names.ts";

/** What a line asks of the reflector. */
export type WatchStep =
  | {
      readonly type: "Put";
      readonly key: string;
      readonly object: KubeObject;
      readonly resourceVersion: string;
    }
  | { readonly type: "Remove"; readonly key: string; readonly resourceVersion: string }
  /** Nothing changed up to here. */
  | { readonly type: "Progress"; readonly resourceVersion: string }
  /** The stream can't go on from where it was: list anew, at once for an expired version, else after a pause. */
  | { readonly type: "Relist"; readonly reason: RelistReason; readonly retryAfterMs?: number };

export type RelistReason = "First" | "Expired" | "Malformed" | "ServerError" | "NewConnection" | "TooMuch";

/** Reads one line of a watch of a kind. */
export function readWatchLine(line: unknown, kind: KindInfo): WatchStep {
  const malformed: WatchStep = { type: "Relist", reason: "Malformed" };
  if (!isRecord(line) || !isRecord(line["object"])) return malformed;
  const { object } = line;
  if (line["type"] === "ERROR") return errorStep(object);
  if (!isRecord(object["metadata"]) || typeof object["metadata"]["resourceVersion"] !== "string")
    return malformed;
  const { resourceVersion } = object["metadata"];
  if (line["type"] === "BOOKMARK") return { type: "Progress", resourceVersion };
  const read = readObject(object, kind);
  if (read === undefined || object["kind"] !== kind.kind) return malformed;
  const key = keyOf(read.metadata);
  if (line["type"] === "DELETED") return { type: "Remove", key, resourceVersion };
  if (line["type"] !== "ADDED" && line["type"] !== "MODIFIED") return malformed;
  return { type: "Put", key, object: read, resourceVersion };
}

/** An ERROR event holds a Status. 410 means that the version is too old; all else is the server's trouble. */
function errorStep(status: Readonly<Record<string, unknown>>): WatchStep {
  const code = Number(status["code"]);
  if (code === 410 || status["reason"] === "Expired" || status["reason"] === "Gone") {
    return { type: "Relist", reason: "Expired" };
  }
  const details = isRecord(status["details"]) ? Number(status["details"]["retryAfterSeconds"]) : NaN;
  return { type: "Relist", reason: "ServerError", ...(details > 0 && { retryAfterMs: details * 1000 }) };
}

/**
 * An object as observe keeps it: apiVersion and kind filled in (items of lists lack them), and of managedFields only
 * what our own field manager applied. Undefined for what has no name or, in a namespaced kind, no namespace.
 */
export function readObject(value: unknown, kind: KindInfo): KubeObject | undefined {
  if (!isRecord(value) || !isRecord(value["metadata"])) return undefined;
  const { managedFields, ...metadata } = value["metadata"];
  if (typeof metadata["name"] !== "string" || metadata["name"] === "") return undefined;
  if (kind.namespaced && typeof metadata["namespace"] !== "string") return undefined;
  const own = Array.isArray(managedFields) ? managedFields.filter(isOwn) : [];
  return {
    ...value,
    apiVersion: kind.apiVersion,
    kind: kind.kind,
    metadata: own.length === 0 ? metadata : { ...metadata, managedFields: own },
  } as unknown as KubeObject;
}

function isOwn(entry: unknown): boolean {
  return isRecord(entry) && entry["manager"] === fieldManager && entry["operation"] === "Apply";
}

/**
 * The objects of a complete list, in place of those that were held. An object of the same uid and version stays the
 * same JavaScript object, and if all did, so does the Map.
 */
export function mergeList(
  held: ReadonlyMap<string, KubeObject>,
  listed: readonly KubeObject[],
): ReadonlyMap<string, KubeObject> {
  let isSame = held.size === listed.length;
  const result = new Map<string, KubeObject>();
  for (const object of listed) {
    const key = keyOf(object.metadata);
    const before = held.get(key);
    const isKnown = isUnchanged(before, object);
    result.set(key, isKnown ? before : object);
    isSame &&= isKnown;
  }
  return isSame ? held : result;
}

/** Whether an object is the one that is held, in the same version; where projection took the version away, its content tells. */
export function isUnchanged(held: KubeObject | undefined, next: KubeObject): held is KubeObject {
  if (held?.metadata.uid !== next.metadata.uid) return false;
  const { resourceVersion } = next.metadata;
  return resourceVersion === undefined
    ? JSON.stringify(held) === JSON.stringify(next)
    : held?.metadata.resourceVersion === resourceVersion;
}
