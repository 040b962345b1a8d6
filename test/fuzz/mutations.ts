/** What is right, made wrong somewhere: objects and bytes from outside as faults, versions and attackers leave them. */
import fc from "fast-check";

/** What stands where something else should: of every type of JSON, with names that mean something to JavaScript. */
const nasty: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    "",
    "__proto__",
    "../..",
    "\u0000",
    "a".repeat(70_000),
    0,
    -1,
    1e308,
    2 ** 53,
    true,
    [],
    [null],
    {},
    { toString: 1, valueOf: 1 },
    JSON.parse('{"__proto__": {"polluted": true}, "constructor": {"prototype": {"polluted": true}}}'),
  ),
  fc.jsonValue({ maxDepth: 3 }),
);

/** A step into a value. */
type Place = readonly (string | number)[];

function placesOf(value: unknown, at: Place = []): Place[] {
  if (typeof value !== "object" || value === null) return [at];
  const inside = Object.entries(value).flatMap(([key, part]) =>
    placesOf(part, [...at, Array.isArray(value) ? Number(key) : key]),
  );
  return [at, ...inside];
}

function replaced(value: unknown, [step, ...rest]: Place, by: unknown): unknown {
  if (step === undefined) return by;
  if (Array.isArray(value))
    return value.map((part: unknown, index): unknown => (index === step ? replaced(part, rest, by) : part));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, part]) => [key, key === step ? replaced(part, rest, by) : part]),
  );
}

/** The sample with other things in one to four of its places. */
export const mutated = (sample: unknown): fc.Arbitrary<unknown> =>
  fc.array(fc.record({ at: fc.nat(), by: nasty }), { minLength: 1, maxLength: 4 }).map((changes) =>
    changes.reduce<unknown>((value, { at, by }) => {
      const places = placesOf(value);
      return replaced(value, places[at % places.length] ?? [], by);
    }, sample),
  );

/** The sample with some bytes changed, cut out or put in. */
export const mangled = (sample: Uint8Array): fc.Arbitrary<Buffer> =>
  fc
    .array(
      fc.record({
        at: fc.nat(),
        cut: fc.nat({ max: 40 }),
        put: fc.uint8Array({ maxLength: 40 }),
      }),
      { minLength: 1, maxLength: 4 },
    )
    .map((changes) =>
      changes.reduce((bytes, { at, cut, put }) => {
        const from = at % (bytes.length + 1);
        return Buffer.concat([bytes.subarray(0, from), put, bytes.subarray(from + cut)]);
      }, Buffer.from(sample)),
    );
