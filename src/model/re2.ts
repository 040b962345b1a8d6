/** Whether Envoy's regular expression engine (RE2) takes an expression. V8's is another language and is never asked. */
import { RE2JS } from "re2js";

/** Longer ones are refused: the time to compile and to match grows with the length (ISTIO-SECURITY-2026-006). */
const maxLength = 1024;

/**
 * Programs over this size, by our own count, are refused: one expression must not cost a gateway more than a whole table.
 * Envoy itself is told to set no limit (reconcile/envoy-bootstrap.ts), as its count differs.
 */
const maxProgramSize = 2_000;

/** Classes of characters that Envoy's RE2 has and that will stay; RE2JS knows newer ones, which Envoy would refuse. */
const knownClass =
  /^(?:L[ultmo]?|M[nce]?|N[dlo]?|P[cdseifo]?|S[mcko]?|Z[slp]?|C[cfos]?|Latin|Greek|Cyrillic|Han|Hiragana|Katakana|Hangul|Arabic|Hebrew|Thai|Devanagari)$/;

/** Why a regular expression can't be used, for a person; undefined if it can. */
export function re2Problem(regex: string): string | undefined {
  if (regex.length > maxLength) return `is longer than ${maxLength} characters`;
  if (regex === "") return "is empty";
  try {
    const size = RE2JS.compile(regex).programSize();
    if (size > maxProgramSize) return `compiles to ${size} instructions; ${maxProgramSize} are the most`;
    const unknown = [...regex.matchAll(/\\[pP](?:\{\^?(\w*)\}|(\w))/g)].find(
      ([, braced, single]) => !knownClass.test(braced ?? single ?? ""),
    );
    return unknown === undefined ? undefined : `has ${unknown[0]}, a class that gateways do not know`;
  } catch (error: unknown) {
    return `is not valid in RE2: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** The text as an RE2 expression that matches only itself. */
export function re2Escape(text: string): string {
  return text.replace(/[\\^$.|?*+()[\]{}]/g, "\\$&");
}
