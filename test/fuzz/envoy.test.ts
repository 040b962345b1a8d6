/**
 * Whatever the world, a real Envoy takes all that is made of it: by itself, and one world after the other while it runs.
 * MCWAN_FUZZ=n tries n times as many worlds.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect } from "chai";
import fc from "fast-check";
import { findBinary } from "../../src/lab/binaries/binaries.ts";
import { worldFrom } from "../../src/reconcile/world-from-yaml.ts";
import { staticBootstrap } from "../translate/static-bootstrap.ts";
import { createPass } from "./pass.ts";
import { RunningEnvoy } from "./running-envoy.ts";
import { worldFile } from "./worlds.ts";

const run = promisify(execFile);
const runsFactor = Number(process.env["MCWAN_FUZZ"] ?? 1);

describe("in every world, a real Envoy", function () {
  this.timeout(180_000 * runsFactor);
  let folder = "";
  let envoy = "";

  before(function () {
    const found = process.env["ENVOY_PATH"] ?? findBinary("envoy");
    if (found === undefined) return this.skip();
    envoy = found;
    folder = mkdtempSync(join(tmpdir(), "mc-wan-fuzz-"));
  });

  after(() => {
    if (folder !== "") rmSync(folder, { recursive: true, force: true });
  });

  it("takes the configuration of all fleets", async () => {
    const config = join(folder, "bootstrap.json");
    await fc.assert(
      fc.asyncProperty(worldFile, async (file) => {
        const { translation } = createPass()(worldFrom(file));
        const fleets = [...translation.config.fleets.values()];
        // Fleets bind the same ports, each in Pods of its own.
        let port = 10_000;
        writeFileSync(config, staticBootstrap(fleets, { address: "127.0.0.1", portOf: () => (port += 1) }));
        await run(envoy, ["--mode", "validate", "--config-path", config, "--log-level", "error"]);
      }),
      { numRuns: 12 * runsFactor, interruptAfterTimeLimit: 150_000 * runsFactor },
    );
  });

  it("takes all of them while it runs, whatever it had before", async () => {
    const running = await RunningEnvoy.start();
    try {
      await fc.assert(
        fc.asyncProperty(worldFile, async (file) => {
          const { translation } = createPass()(worldFrom(file));
          for (const [name, fleet] of translation.config.fleets)
            expect(await running.refuses(fleet), name).to.deep.equal([]);
        }),
        { numRuns: 10 * runsFactor, interruptAfterTimeLimit: 60_000 * runsFactor },
      );
    } finally {
      await running.stop();
    }
  });
});
