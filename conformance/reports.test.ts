import { expect } from "chai";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { supportedFeatures } from "../src/api/supported-features.ts";
import { GATEWAY_API_VERSION } from "../src/lab/binaries/versions.ts";
import { channels, experimentalFeatures } from "./channel.ts";
import { allProfiles } from "./suite.ts";

interface Result {
  readonly result: string;
  readonly statistics: { readonly Failed: number; readonly Passed: number; readonly Skipped: number };
  readonly supportedFeatures?: readonly string[];
  readonly unsupportedFeatures?: readonly string[];
}

interface Report {
  readonly gatewayAPIVersion: string;
  readonly gatewayAPIChannel: string;
  readonly profiles: readonly { readonly name: string; readonly core: Result; readonly extended?: Result }[];
}

const folder = join(import.meta.dirname, "../docs/conformance");
const readme = readFileSync(join(folder, "README.md"), "utf8");

describe("the conformance reports", () => {
  for (const channel of channels) {
    const file = `${channel}-v0.1.0-default-report.yaml`;
    const report = parse(readFileSync(join(folder, file), "utf8")) as Report;
    const results = report.profiles.flatMap(({ core, extended }) => [core, ...(extended ? [extended] : [])]);

    it(`of the ${channel} channel are of this Gateway API, and nothing failed or was skipped`, () => {
      expect(report.gatewayAPIVersion).to.equal(`v${GATEWAY_API_VERSION}`);
      expect(report.gatewayAPIChannel).to.equal(channel);
      expect(report.profiles.map(({ name }) => name)).to.have.members(allProfiles);
      for (const { result, statistics } of results) {
        expect(result).to.equal("success");
        expect([statistics.Failed, statistics.Skipped]).to.deep.equal([0, 0]);
      }
    });

    it(`of the ${channel} channel name no feature that the GatewayClass does not say`, () => {
      const said: readonly string[] = [...supportedFeatures, ...experimentalFeatures];
      const reported = results.flatMap((result) => result.supportedFeatures ?? []);
      expect(reported.filter((name) => !said.includes(name))).to.deep.equal([]);
    });

    it(`of the ${channel} channel: the README says of each feature that is left out why it is`, () => {
      const leftOut = results.flatMap((result) => result.unsupportedFeatures ?? []);
      expect(leftOut.filter((name) => !readme.includes(`\`${name}\``))).to.deep.equal([]);
    });
  }
});
