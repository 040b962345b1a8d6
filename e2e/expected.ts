/** Compares what stands in a cluster with what is expected of it: a part of an object that says nothing is not looked at. */
import type { InstallTarget } from "../src/lab/install.ts";
import { must } from "./claim.ts";
import type { Environment } from "./environment.ts";

/** A function is a question put to the value; a string, a number and so on must be equal; a list has as many entries. */
export type Expected =
  | string
  | number
  | boolean
  | null
  | undefined
  | ((seen: unknown) => boolean)
  | readonly Expected[]
  | { readonly [field: string]: Expected };

/** An object as it stands. */
export interface Standing {
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

/** Objects of these kinds in all namespaces; `selector` as kubectl takes it. */
export async function standing(
  environment: Environment,
  where: { readonly cluster: InstallTarget; readonly kinds: readonly string[]; readonly selector?: string },
): Promise<Standing[]> {
  const { items } = (await environment.kubectl.json(where.cluster.context, [
    "get",
    where.kinds.join(","),
    "-A",
    ...(where.selector === undefined ? [] : ["-l", where.selector]),
  ])) as { items: Standing[] };
  return items;
}

/** Every difference, as `path: expected …, is …`. Undefined means that the field must not be there. */
function differences(expected: Expected, seen: unknown, path = ""): string[] {
  if (typeof expected === "function")
    return expected(seen) ? [] : [`${path}: ${JSON.stringify(seen)} is not as expected`];
  if (isList(expected)) {
    if (!Array.isArray(seen) || seen.length !== expected.length)
      return [`${path}: expected ${expected.length} entries, is ${JSON.stringify(seen)}`];
    return expected.flatMap((entry, index) => differences(entry, seen[index], `${path}[${index}]`));
  }
  if (typeof expected === "object" && expected !== null) {
    if (typeof seen !== "object" || seen === null)
      return [`${path}: expected an object, is ${JSON.stringify(seen)}`];
    const fields = seen as Readonly<Record<string, unknown>>;
    return Object.entries(expected).flatMap(([name, value]) =>
      differences(value, fields[name], `${path}.${name}`),
    );
  }
  return expected === seen
    ? []
    : [`${path}: expected ${JSON.stringify(expected)}, is ${JSON.stringify(seen)}`];
}

/** Holds that the object `kind namespace/name` of a list is as expected. */
export function mustStand(objects: readonly Standing[], key: string, expected: Expected): void {
  const found = objects.find(
    ({ kind, metadata }) => `${kind} ${metadata.namespace ?? ""}/${metadata.name}` === key,
  );
  must(found !== undefined, `there is no ${key}`, {
    there: objects.map(({ kind, metadata }) => `${kind} ${metadata.namespace ?? ""}/${metadata.name}`),
  });
  const seen = differences(expected, found);
  must(seen.length === 0, `${key} differs`, { seen });
}

const isList = (value: Expected): value is readonly Expected[] => Array.isArray(value);
