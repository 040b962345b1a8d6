/**
 * Protobuf messages to bytes, the same bytes for the same meaning: versions are hashes of these.
 *
 * protobuf-es writes fields in the order of their numbers but the entries of a map (and of a google.protobuf.Struct) in
 * the order of their insertion. Here they are written in the order of their keys. Never changes its input.
 */
import { isMessage, toBinary } from "@bufbuild/protobuf";
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { compare } from "./order.ts";

/** The bytes of a message. Two messages that are equal but for the order of their map entries give the same. */
export function canonicalBytes<Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
): Uint8Array<ArrayBuffer> {
  return toBinary(schema, ordered(message));
}

/** The same value with the keys of all maps in it in order: itself where they already are. */
function ordered<T>(value: T): T {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
  const result = Array.isArray(value) ? orderedItems(value as readonly unknown[]) : orderedObject(value);
  return result as T;
}

function orderedItems(items: readonly unknown[]): readonly unknown[] {
  const result = items.map(ordered);
  return result.every((item, index) => item === items[index]) ? items : result;
}

/** A message, a oneof (`case` before `value`, so in order) or a map. Only a map's order reaches the bytes. */
function orderedObject(object: object): object {
  const entries = Object.entries(object as Record<string, unknown>);
  const result = entries.map(([key, value]) => [key, ordered(value)] as const);
  const isSorted =
    isMessage(object) || entries.every(([key], index) => compare(entries[index - 1]?.[0] ?? "", key) <= 0);
  if (isSorted && result.every(([, value], index) => value === entries[index]?.[1])) return object;
  if (!isSorted) result.sort(([a], [b]) => compare(a, b));
  // A message may keep its defaults in its prototype.
  return Object.defineProperties(
    Object.create(Object.getPrototypeOf(object) as object | null) as object,
    Object.getOwnPropertyDescriptors(Object.fromEntries(result)),
  );
}
