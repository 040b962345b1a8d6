/**
 * Reads what the conformance suite prints (the lines of `go test -v=test2json`): which test did what, and what each of them said. PURE.
 * It never judges: a test's outcome is the one that the suite gives.
 */

/** How a test of the suite ended. */
type Outcome = "passed" | "failed" | "skipped";

/** A test that has ended; subtests are part of the test that holds them. */
export interface TestResult {
  /** The suite's short name, as `HTTPRouteMatching`. */
  readonly name: string;
  readonly outcome: Outcome;
  readonly seconds: number;
  /** Names of the subtests that failed, innermost included. */
  readonly failedSubtests: readonly string[];
  /** What the test and its subtests printed. */
  readonly lines: readonly string[];
}

/** The suite's one Go test, which holds all others. */
const root = "TestConformance";

const outcomes: Readonly<Record<string, Outcome>> = { PASS: "passed", FAIL: "failed", SKIP: "skipped" };

interface Open {
  readonly lines: string[];
  readonly failedSubtests: string[];
}

/** Takes the output line by line, as it comes. */
export class SuiteOutput {
  readonly #open = new Map<string, Open>();
  /** What was printed outside of any test: the set-up, and how it failed. */
  readonly setUpLines: string[] = [];
  #current = "";

  /** Takes a line without its end; gives the test that ended with it. */
  take(printed: string): TestResult | undefined {
    // Where test2json reads, a mark stands before the lines that are the framework's.
    const line = printed.replaceAll("\x16", "");
    const switched = /^=== (?:RUN|CONT|NAME|PAUSE)\s+(\S+)/.exec(line)?.[1];
    if (switched !== undefined) {
      this.#current = testOf(switched);
      return undefined;
    }
    const [, word = "", path = "", seconds = ""] =
      /^\s*--- (PASS|FAIL|SKIP): (\S+) \(([\d.]+)s\)/.exec(line) ?? [];
    const outcome = outcomes[word];
    if (outcome === undefined) {
      (this.#current === "" ? this.setUpLines : this.#of(this.#current).lines).push(line);
      return undefined;
    }
    const name = testOf(path);
    if (name === "") return undefined;
    const open = this.#of(name);
    const subtest = path.slice(root.length + 1 + name.length + 1);
    if (subtest !== "") {
      if (outcome === "failed") open.failedSubtests.push(subtest);
      return undefined;
    }
    this.#open.delete(name);
    this.#current = "";
    return { name, outcome, seconds: Number(seconds), ...open };
  }

  #of(name: string): Open {
    const known = this.#open.get(name);
    if (known !== undefined) return known;
    const made = { lines: [], failedSubtests: [] };
    this.#open.set(name, made);
    return made;
  }
}

/** `TestConformance/HTTPRouteMatching/3_request` is of the test HTTPRouteMatching; the root is of none. */
function testOf(path: string): string {
  const [first, name = ""] = path.split("/");
  return first === root ? name : "";
}
