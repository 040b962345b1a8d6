/**
 * Kubernetes Events for conditions that changed: what `kubectl describe` shows of the past. Pure, but for the memory of
 * what was told lately.
 */
import { reasons } from "../api/conditions.ts";
import type { KindInfo } from "../model/kinds.ts";
import type { Condition, KubeObject } from "../model/kube-object.ts";

/** Events, as the API has them. */
export const eventKind: KindInfo = { apiVersion: "v1", kind: "Event", plural: "events", namespaced: true };

/** One thing to tell. */
export interface EventNote {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
}

/** Conditions that are bad when true. */
const negative: ReadonlySet<string> = new Set(["Conflict", "Conflicted"]);
const maxMessage = 1024;

/**
 * What to tell of a change of conditions: each status or reason that is not as before. Of conditions that are new only
 * the bad ones: that all is well at first is no news.
 */
export function notesFor(before: readonly Condition[], after: readonly Condition[]): readonly EventNote[] {
  return after.flatMap((condition) => {
    const held = before.find(({ type }) => type === condition.type);
    const isBad = condition.status === (negative.has(condition.type) ? "True" : "False");
    const isNews =
      held === undefined
        ? isBad
        : held.status !== condition.status || (isBad && held.reason !== condition.reason);
    // That something takes a moment is no news either.
    if (!isNews || condition.status === "Unknown" || condition.reason === reasons.Pending) return [];
    const text = `${condition.type} is ${condition.status}: ${condition.message}`;
    return [
      {
        type: isBad ? "Warning" : "Normal",
        reason: condition.reason,
        message: text.slice(0, maxMessage),
      } as const,
    ];
  });
}

/** The Event object. The server makes up the rest of its name. */
export function eventObject(
  object: KubeObject,
  note: EventNote,
  at: { nowIso: string; instance: string },
): KubeObject {
  const { name, namespace, uid, resourceVersion } = object.metadata;
  return {
    apiVersion: "v1",
    kind: "Event",
    // Events of cluster-scoped objects are kept in `default`. The name is taken from generateName.
    metadata: { name: "", namespace: namespace ?? "default", ...{ generateName: `${name.slice(0, 200)}.` } },
    involvedObject: {
      apiVersion: object.apiVersion,
      kind: object.kind,
      name,
      namespace,
      uid,
      resourceVersion,
    },
    ...note,
    source: { component: "mc-wan" },
    reportingComponent: "mc-wan",
    reportingInstance: at.instance,
    firstTimestamp: at.nowIso,
    lastTimestamp: at.nowIso,
    count: 1,
  };
}

/** Lets each text about an object pass once in ten minutes, and so many in all. */
export class EventLimit {
  readonly #told = new Map<string, number>();
  #tokens = burst;
  #lastMs = 0;

  /** Whether to tell now. */
  allows(object: KubeObject, note: EventNote, nowMs: number): boolean {
    const key = `${object.metadata.uid ?? object.metadata.name} ${note.reason} ${note.message}`;
    const told = this.#told.get(key);
    if (told !== undefined && nowMs - told < repeatMs) return false;
    this.#tokens = Math.min(burst, this.#tokens + ((nowMs - this.#lastMs) / 1000) * perSecond);
    this.#lastMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    if (this.#told.size >= maxRemembered) this.#told.clear();
    this.#told.set(key, nowMs);
    return true;
  }
}

const repeatMs = 600_000;
const burst = 50;
const perSecond = 2;
const maxRemembered = 10_000;
