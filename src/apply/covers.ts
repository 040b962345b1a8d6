/**
 * Whether what stands already says all that we want it to say. Pure.
 *
 * An API server fills in defaults and leaves out what is empty, so an intent is compared field by field with the object
 * that stands, not as a whole; what else stands there is not ours to judge.
 */
import { isRecord } from "../model/record.ts";

/** How lists are compared. */
export type ListMode =
  /** One item after the other, of the same number: atomic lists, and lists whose order has a meaning. */
  | "InOrder"
  /** By `name` or `type` where all items have one; conditions of others may stand beside ours. */
  | "ByKey";

/** Whether every field of `intent` stands in `observed`. */
export function covers(observed: unknown, intent: unknown, lists: ListMode = "InOrder"): boolean {
  if (intent === undefined || Object.is(observed, intent)) return true;
  if (isEmpty(intent))
    return observed === undefined || observed === null || !Array.isArray(observed) || observed.length === 0;
  if (Array.isArray(intent)) return Array.isArray(observed) && coversList(observed, intent, lists);
  if (!isRecord(intent) || !isRecord(observed)) return false;
  return Object.entries(intent).every(([name, value]) => covers(ownValue(observed, name), value, lists));
}

function coversList(observed: readonly unknown[], intent: readonly unknown[], lists: ListMode): boolean {
  const key = lists === "ByKey" ? keyOfItems(intent) : undefined;
  if (key === undefined) {
    return (
      observed.length === intent.length && intent.every((item, index) => covers(observed[index], item, lists))
    );
  }
  if (key === "name" && observed.length !== intent.length) return false;
  return intent.every((item) => {
    const match = observed.find(
      (other) => isRecord(other) && other[key] === (item as Record<string, unknown>)[key],
    );
    return match !== undefined && covers(match, item, lists);
  });
}

function keyOfItems(items: readonly unknown[]): "name" | "type" | undefined {
  return (["name", "type"] as const).find((key) => {
    const values = items.map((item) => (isRecord(item) ? item[key] : undefined));
    return values.every((value) => typeof value === "string") && new Set(values).size === values.length;
  });
}

function isEmpty(value: unknown): boolean {
  return value === null || (typeof value === "object" && Object.keys(value).length === 0);
}

/** A field of the object itself: a label may be called `constructor`. */
function ownValue(record: Readonly<Record<string, unknown>>, name: string): unknown {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}
