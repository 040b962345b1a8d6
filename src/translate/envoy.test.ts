import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect } from "chai";
import { findBinary } from "../lab/binaries/binaries.ts";
import { buildCase, parseCase } from "./case-file.ts";
import { staticBootstrap } from "../../test/translate/static-bootstrap.ts";
import { createTranslate } from "./translate.ts";

const run = promisify(execFile);
const dir = new URL("testdata/", import.meta.url);
const cases = readdirSync(dir).filter((name) => name.endsWith(".in.yaml"));

describe("a real Envoy", function () {
  this.timeout(60_000);
  let folder = "";
  let envoy = "";

  before(function () {
    const found = process.env["ENVOY_PATH"] ?? findBinary("envoy");
    if (found === undefined) return this.skip();
    envoy = found;
    folder = mkdtempSync(join(tmpdir(), "mc-wan-translate-"));
  });

  after(() => {
    if (folder !== "") rmSync(folder, { recursive: true, force: true });
  });

  for (const name of cases) {
    it(`takes the configuration of ${name}`, async () => {
      const { world, desired } = buildCase(parseCase(readFileSync(new URL(name, dir), "utf8")));
      const { config } = createTranslate()(world, desired);
      expect(config.fleets.size).to.be.greaterThan(0);
      for (const [fleetName, fleet] of config.fleets) {
        const file = join(folder, `${fleetName}.json`);
        writeFileSync(file, staticBootstrap([fleet], { address: "127.0.0.1", portOf: (port) => port }));
        const { stderr } = await run(envoy, [
          "--mode",
          "validate",
          "--config-path",
          file,
          "--log-level",
          "warning",
        ]);
        expect(stderr).not.to.match(/deprecated|error/i);
      }
    });
  }
});
