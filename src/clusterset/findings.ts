/**
 * What is wrong with an object, read from its conditions: the same rules for every kind that mc-wan judges.
 *
 * Pure. A condition that is not there says nothing: the controller has not looked yet, which is told as such where it always
 * looks.
 */
import type { KubeObject } from "../model/kube-object.ts";

/** One condition that is not as it should be. */
export interface Finding {
  /** `ServiceExport secure/payment` */
  readonly object: string;
  readonly type: string;
  readonly reason: string;
  /** For a person: what is wrong, and what to do. */
  readonly message: string;
}

interface SeenCondition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
}

/** Conditions that are good when they are False; all others are good when they are True. */
const goodWhenFalse: ReadonlySet<string> = new Set(["Conflict", "Conflicted", "OverlappingTLSConfig"]);

/** What this version never does, wherever it is asked for: nothing that a person could mend at the object. */
const notes: ReadonlySet<string> = new Set(["DSCPApplied", "Enforced"]);

/** All that is wrong with the object; `expected`: the condition without which nobody has looked at it yet. */
export function findingsOf(object: KubeObject, expected: string): readonly Finding[] {
  const { conditions = [] } = (object["status"] ?? {}) as { conditions?: readonly SeenCondition[] };
  const name = nameOf(object);
  if (!conditions.some(({ type }) => type === expected)) {
    const message = "The controller has said nothing of it yet.";
    return [{ object: name, type: expected, reason: "Unseen", message }];
  }
  return conditions
    .filter(({ type, status }) => !notes.has(type) && status !== (goodWhenFalse.has(type) ? "False" : "True"))
    .map(({ type, reason = "", message = "" }) => ({ object: name, type, reason, message }));
}

/** `kind namespace/name`, as kubectl's arguments are. */
export function nameOf({
  kind,
  metadata: { namespace, name },
}: Pick<KubeObject, "kind" | "metadata">): string {
  return `${kind} ${namespace === undefined ? "" : `${namespace}/`}${name}`;
}
