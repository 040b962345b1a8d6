/**
 * What every kind of our API has in common: its shape, and how a value from outside is parsed by the schema of its CRD.
 *
 *     unknown --(ajv, the CRD's schema)--> object | problems
 *
 * Never changes or copies the value: an object that did not change stays the same JavaScript object. CEL rules of the
 * CRDs are not judged here; where a peer's word matters, the kind's own file adds the check.
 */
import { isIP } from "node:net";
import { Ajv } from "ajv";
import type { ErrorObject, ValidateFunction } from "ajv";
import type { ObjectMeta } from "../model/kube-object.ts";
import type { Problem } from "../model/problem.ts";
import { reasons } from "./conditions.ts";

/** An object of one of our kinds, or of a kind we read that no library has a type for. */
export type CustomObject<ApiVersion extends string, Kind extends string, Spec, Status> = Readonly<{
  apiVersion: ApiVersion;
  kind: Kind;
  metadata: ObjectMeta;
  spec: Spec;
  status?: Status;
}>;

/** The API version of our own kinds. */
export const apiVersion = "mc-wan.l7mp.io/v1alpha1";

/** An object, or all that is wrong with it. */
export type Parsed<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problems: readonly Problem[] };

/** A kind and the JSON schema of its objects. */
export interface ParserOptions<T> {
  /** Group and version; objects of a kind that is served in several versions give all of them. */
  readonly apiVersions: readonly string[];
  readonly kind: string;
  readonly schema: object;
  /** What the schema does not say. Called only when the schema holds. */
  readonly check?: (value: T) => readonly Problem[];
}

/** `int32` and `int64` need no check beside `type: integer`; unknown formats are refused by ajv when it compiles. */
const ajv = new Ajv({
  allErrors: true,
  strict: true,
  strictTypes: false,
  formats: { int32: true, int64: true, "date-time": (text: string) => !Number.isNaN(Date.parse(text)) },
});

/** Makes the parser of a kind. The schema is compiled at the first use. */
export function parserOf<T>(options: ParserOptions<T>): (input: unknown) => Parsed<T> {
  let validate: ValidateFunction<T> | undefined;
  return (input) => {
    const header = headerProblems(input, options);
    if (header.length > 0) return { ok: false, problems: header };
    validate ??= ajv.compile<T>(options.schema);
    if (!validate(input))
      return { ok: false, problems: (validate.errors ?? []).map((error) => problemOf(error)) };
    const problems = options.check?.(input) ?? [];
    return problems.length > 0 ? { ok: false, problems } : { ok: true, value: input };
  };
}

/** What is wrong with the part that all Kubernetes objects share. */
function headerProblems(input: unknown, { apiVersions, kind }: ParserOptions<never>): Problem[] {
  if (typeof input !== "object" || input === null) return [invalid(`Expected a ${kind}, found no object.`)];
  const { apiVersion: version, kind: found, metadata } = input as Record<string, unknown>;
  if (found !== kind || typeof version !== "string" || !apiVersions.includes(version)) {
    return [
      invalid(`Expected a ${kind} of ${apiVersions.join(" or ")}, found ${word(found)} of ${word(version)}.`),
    ];
  }
  const name = (metadata as { name?: unknown } | undefined)?.name;
  return typeof name === "string" && name !== "" ? [] : [invalid(`The ${kind} has no metadata.name.`)];
}

/** Whatever stands where a name should: not everything can be made a text of. */
const word = (found: unknown): string =>
  typeof found === "string" ? found.slice(0, 100) : `a ${typeof found}`;

const invalid = (message: string): Problem => ({ reason: reasons.Invalid, message });

function problemOf(error: ErrorObject): Problem {
  const path = error.instancePath.slice(1).replaceAll("/", ".").replaceAll("~1", "/").replaceAll("~0", "~");
  const allowed = (error.params as { allowedValues?: readonly unknown[] }).allowedValues;
  const detail = allowed === undefined ? "" : `: ${allowed.map(String).join(", ")}`;
  return invalid(`${path === "" ? "The object" : path} ${error.message ?? "is invalid"}${detail}.`);
}

/** A problem for every text that should be an IP address and is none: the CRDs' CEL rule, for what a peer says. */
export function addressProblems(addresses: readonly string[]): readonly Problem[] {
  return addresses
    .filter((address) => isIP(address) === 0)
    .map((address) => ({
      reason: reasons.UnusableAddress,
      message: `${JSON.stringify(address)} is no IP address.`,
    }));
}

/** The newest formatVersion of advertisements that this build understands. The one before it is understood as well. */
const formatVersion = 1;

/** A problem if an advertisement is of a format newer than {@link formatVersion}: what it says could be misread. */
export function formatVersionProblems(spec: { readonly formatVersion: number }): readonly Problem[] {
  if (spec.formatVersion <= formatVersion) return [];
  return [
    {
      reason: reasons.UnsupportedFormatVersion,
      message: `spec.formatVersion is ${spec.formatVersion}; this controller understands up to ${formatVersion}. Upgrade mc-wan in this cluster.`,
    },
  ];
}
