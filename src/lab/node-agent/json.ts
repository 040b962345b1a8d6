/**
 * Reading JSON that came from outside: field by field, with an error that names the field. Never guesses a type.
 */

/** A JSON object whose fields are not known yet. */
export type JsonObject = Record<string, unknown>;

/** Whether a value is a JSON object (no array, no null). */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The object in a field. Throws when it is something else. */
export function objectAt(from: JsonObject, field: string): JsonObject {
  const value = from[field];
  if (!isObject(value)) throw new TypeError(`${field} is not an object`);
  return value;
}

/** The list in a field; an absent field is an empty list. Throws when it is something else. */
export function arrayAt(from: JsonObject, field: string): unknown[] {
  const value = from[field] ?? [];
  if (!Array.isArray(value)) throw new TypeError(`${field} is not a list`);
  return value as unknown[];
}

/** The text in a field. Throws when it is something else. */
export function stringAt(from: JsonObject, field: string): string {
  const value = from[field];
  if (typeof value !== "string") throw new TypeError(`${field} is not a string`);
  return value;
}

/** The text in a field, or undefined when absent or empty. Throws when it is something else. */
export function optionalStringAt(from: JsonObject, field: string): string | undefined {
  return from[field] === undefined || from[field] === null || from[field] === ""
    ? undefined
    : stringAt(from, field);
}

/** The number in a field. Throws when it is something else. */
export function numberAt(from: JsonObject, field: string): number {
  const value = from[field];
  if (typeof value !== "number") throw new TypeError(`${field} is not a number`);
  return value;
}

/** The texts in a field; absent is none. Throws when anything else is in it. */
export function stringsAt(from: JsonObject, field: string): string[] {
  return arrayAt(from, field).map((entry) => stringAt({ [field]: entry }, field));
}

/** The texts by name in a field; absent is none. Throws when anything else is in it. */
export function stringMapAt(from: JsonObject, field: string): Record<string, string> {
  const map = from[field] === undefined || from[field] === null ? {} : objectAt(from, field);
  return Object.fromEntries(Object.keys(map).map((key) => [key, stringAt(map, key)]));
}
