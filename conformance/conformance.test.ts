/**
 * A part of the conformance suite, one or two tests of each kind: what `npm run conformance` runs whole is not broken. The rest
 * takes minutes, and a step of its own in continuous integration.
 */
import { expect } from "chai";
import { readFile, rm, mkdtemp } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { conformanceBinaryNames, obtainBinaries } from "../src/lab/binaries/binaries.ts";
import { openConformanceLab, type ConformanceLab } from "./lab.ts";
import { allProfiles, runSuite, type SuiteResult } from "./suite.ts";

/** Tests that make no Gateway of their own are quick: the suite's base has theirs. */
const part = [
  "BackendTLSPolicy",
  "GRPCExactMethodMatching",
  "GatewayInvalidRouteKind",
  "HTTPRouteCrossNamespace",
  "HTTPRouteHTTPSListener",
  "HTTPRouteInvalidCrossNamespaceBackendRef",
  "HTTPRouteMatching",
  "HTTPRouteMatchingAcrossRoutes",
  "HTTPRouteRedirectHostAndStatus",
  "HTTPRouteReferenceGrant",
  "HTTPRouteRequestHeaderModifier",
  "HTTPRouteRequestMirror",
  "HTTPRouteRewritePath",
  "HTTPRouteTimeoutRequest",
  "HTTPRouteWeight",
  "TCPRouteWeightedRouting",
  "TLSRouteSimpleSameNamespace",
];

const progress = (line: string): void => {
  process.stderr.write(`    ${line}\n`);
};

describe("a part of the Gateway API conformance suite", function () {
  this.timeout(600_000);
  let opened: ConformanceLab | undefined;
  let folder = "";
  let result: SuiteResult = { tests: [], code: -1, setUpLines: [] };

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "mc-wan-conformance-part-"));
    const programs = await obtainBinaries(conformanceBinaryNames, { progress });
    opened = await openConformanceLab({
      progress,
      runDir: join(tmpdir(), `mc-wan-conformance-part-${userInfo().uid}`),
    });
    result = await runSuite(opened.lab, opened.cluster, {
      program: programs["gateway-api-conformance"],
      profiles: allProfiles,
      only: part,
      features: [],
      report: join(folder, "report.yaml"),
      log: join(folder, "suite.log"),
      timeouts: "",
      version: "0.0.0",
      onTest: ({ name, outcome, seconds }) => {
        progress(`${outcome} ${name} (${seconds.toFixed(1)} s)`);
      },
    });
  });
  after(async () => {
    await opened?.close();
    await rm(folder, { recursive: true, force: true });
  });

  it("gets through its set-up", () => {
    expect(result.tests, result.setUpLines.slice(-20).join("\n")).to.have.lengthOf(part.length);
  });

  for (const name of part)
    it(`passes ${name}`, () => {
      const test = result.tests.find((known) => known.name === name);
      expect(test?.outcome, test?.lines.slice(-25).join("\n")).to.equal("passed");
    });

  it("writes a report whose profiles have succeeded", async () => {
    const report = parse(await readFile(join(folder, "report.yaml"), "utf8")) as {
      kind: string;
      profiles: { name: string; core: { result: string } }[];
    };
    expect(report.kind).to.equal("ConformanceReport");
    expect(report.profiles.map(({ name, core }) => `${name}: ${core.result}`)).to.have.members(
      allProfiles.map((name) => `${name}: success`),
    );
  });
});
