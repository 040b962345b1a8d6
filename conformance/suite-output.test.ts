import { expect } from "chai";
import { SuiteOutput, type TestResult } from "./suite-output.ts";

function results(output: SuiteOutput, text: string): TestResult[] {
  return text.split("\n").flatMap((line) => output.take(line) ?? []);
}

describe("the output of the conformance suite", () => {
  it("gives each test's outcome, time, failed subtests and lines", () => {
    const found = results(
      new SuiteOutput(),
      `\x16=== RUN   TestConformance
    conformance.go:120: Running conformance tests with:
=== RUN   TestConformance/One
    one.go:1: applying
=== RUN   TestConformance/One/a_request
    one.go:2: it did not come
--- FAIL: TestConformance/One/a_request (1.00s)
\x16--- FAIL: TestConformance/One (2.50s)
\x16=== RUN   TestConformance/Two
    two.go:1: skipped
--- SKIP: TestConformance/Two (0.00s)`,
    );
    expect(found).to.deep.equal([
      {
        name: "One",
        outcome: "failed",
        seconds: 2.5,
        failedSubtests: ["a_request"],
        lines: ["    one.go:1: applying", "    one.go:2: it did not come"],
      },
      { name: "Two", outcome: "skipped", seconds: 0, failedSubtests: [], lines: ["    two.go:1: skipped"] },
    ]);
  });

  it("tells apart what tests print that run at the same time", () => {
    const found = results(
      new SuiteOutput(),
      `=== RUN   TestConformance/One
=== PAUSE TestConformance/One
=== RUN   TestConformance/Two
=== PAUSE TestConformance/Two
=== CONT  TestConformance/One
    of one
=== CONT  TestConformance/Two
    of two
=== NAME  TestConformance/One
    of one again
--- PASS: TestConformance/One (1.00s)
--- FAIL: TestConformance/Two (2.00s)`,
    );
    expect(found.map(({ name, outcome, lines }) => ({ name, outcome, lines }))).to.deep.equal([
      { name: "One", outcome: "passed", lines: ["    of one", "    of one again"] },
      { name: "Two", outcome: "failed", lines: ["    of two"] },
    ]);
  });

  it("keeps what the set-up says apart from the tests", () => {
    const output = new SuiteOutput();
    const text = `=== RUN   TestConformance\n    suite.go:1: a Pod is not ready\n--- FAIL: TestConformance (300.00s)\nFAIL`;
    expect(results(output, text)).to.deep.equal([]);
    expect(output.setUpLines).to.deep.equal(["    suite.go:1: a Pod is not ready", "FAIL"]);
  });
});
