/** Whether Envoy's regular expression engine (RE2) takes an expression. V8's is another language and is never asked. */
import { RE2JS } from "re2js";

/** Longer ones are refused: the time to compile and to match grows with the length (ISTIO-SECURITY-2026-006). */
const maxLength = 1024;

/** Why a regular expression can't be used, for a person; undefined if it can. */
export function re2Problem(regex: string): string | undefined {
  if (regex.length > maxLength) return `is longer than ${maxLength} characters`;
  if (regex === "") return "is empty";
  try {
    RE2JS.compile(regex);
    return undefined;
  } catch (error: unknown) {
    return `is not valid in RE2: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** The text as an RE2 expression that matches only itself. */
export function re2Escape(text: string): string {
  return text.replace(/[\\^$.|?*+()[\]{}]/g, "\\$&");
}
