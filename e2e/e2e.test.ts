/** The scenarios as mocha tests: one lab (or the clusters of MCWAN_CONTEXTS) for all of them. */
import { openEnvironment, runDirFor } from "./environment.ts";
import type { Environment } from "./environment.ts";
import { scenarios } from "./scenarios.ts";

const progress = (line: string): void => {
  process.stderr.write(`    ${line}\n`);
};

describe("end to end", function () {
  this.timeout(180_000);
  let environment: Environment | undefined;

  before(async function () {
    this.timeout(600_000);
    environment = await openEnvironment({ progress, runDir: runDirFor("e2e") });
  });
  after(async () => {
    await environment?.close();
  });

  for (const scenario of scenarios) {
    describe(scenario.title, () => {
      before(async () => {
        await scenario.setUp(opened(environment), progress);
      });
      after(async () => {
        await scenario.tearDown(opened(environment));
      });
      for (const claim of scenario.claims) {
        it(claim.title, async function () {
          if (claim.needsLab === true && opened(environment).lab === undefined) this.skip();
          const evidence = await claim.prove(opened(environment));
          progress(JSON.stringify(evidence));
        });
      }
    });
  }
});

function opened(environment: Environment | undefined): Environment {
  if (environment === undefined) throw new Error("the environment did not open");
  return environment;
}
