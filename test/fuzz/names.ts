/**
 * The few names that random worlds are made of: few, so that references meet objects; some that meet when joined by `-`
 * (`a-b` in `c`, `a` in `b-c`), some so long that derived names are shortened.
 */
import fc from "fast-check";
import type { KubeObject, ObjectMeta } from "../../src/model/kube-object.ts";

const longest = "n".repeat(62);

export const namespaces = ["c", "b-c", "shop", `${longest}s`] as const;
export const namespaceName = fc.constantFrom("c", "c", "c", "c", "b-c", "b-c", "shop", ...namespaces);
/** Of Services, and of what is named like one. */
export const serviceName = fc.constantFrom(
  "a",
  "a",
  "a",
  "a",
  "a-b",
  "a-b",
  "b",
  "b",
  "a-ingress",
  "a-clusterset",
  `${longest}x`,
  `${longest}y`,
);
export const policyName = fc.constantFrom("high", "high", "low", "low", "c-high", "p".repeat(40));
export const portNumber = fc.constantFrom(80, 80, 80, 80, 443, 8080, 9901, 20000, 31111, 65535);
/** As Gateways and routes may have; one is only another's upper wildcard. */
export const hostname = fc.constantFrom(
  "example.com",
  "shop.example.com",
  "*.example.com",
  "*.com",
  "a.c.svc.cluster.local",
  "a-clusterset.c.svc.cluster.local",
  "b.c.svc.clusterset.local",
);

/** An entry with a field, or none. */
export const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(value, { nil: undefined, freq: 2 });

type Dense<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** Without the fields that are undefined: an API server gives none. */
export function dense<T extends object>(fields: T): Dense<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Dense<T>;
}

/** What an API server adds to the metadata of an object. */
export const birth = fc
  .record({
    generation: fc.integer({ min: 1, max: 2 }),
    creationTimestamp: fc.constantFrom("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
    deletionTimestamp: fc.option(fc.constant("2026-02-01T00:00:00Z"), { nil: undefined, freq: 12 }),
  })
  .map(dense);

/** An object of a namespace, made of its coordinates and the rest. */
export function objectOf(
  [apiVersion, kind]: readonly [string, string],
  metadata: ObjectMeta,
  rest: Readonly<Record<string, unknown>>,
): KubeObject {
  const uid = `uid of ${kind} ${metadata.namespace ?? ""}/${metadata.name}`;
  return { apiVersion, kind, metadata: { uid, ...metadata }, ...dense(rest) };
}
