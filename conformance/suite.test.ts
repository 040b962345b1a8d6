import { expect } from "chai";
import { clusterAddresses } from "../src/lab/address-plan.ts";
import { suiteArguments, type SuiteOptions } from "./suite.ts";

describe("the conformance suite's arguments", () => {
  const options: SuiteOptions = {
    program: "suite",
    profiles: ["GATEWAY-HTTP", "GATEWAY-GRPC"],
    only: [],
    features: [],
    report: "/tmp/report.yaml",
    log: "/tmp/log",
    timeouts: "",
    version: "1.2.3",
    onTest: () => undefined,
  };
  const at = (number: number, changed: Partial<SuiteOptions> = {}): string[] =>
    suiteArguments({ ...options, ...changed }, { addresses: clusterAddresses(number) });

  it("leave it to the GatewayClass which features are tested", () => {
    expect(at(1)).to.include.members([
      "-gateway-class=mc-wan",
      "-conformance-profiles=GATEWAY-HTTP,GATEWAY-GRPC",
      "-version=v1.2.3",
    ]);
    expect(at(1).join(" ")).not.to.match(/features|timeout/);
  });

  it("name single tests as a whole, and run them whatever the GatewayClass says", () => {
    const words = at(1, { only: ["HTTPRouteMatching", "HTTPRouteCORS"] });
    expect(words[words.indexOf("-test.run") + 1]).to.equal(
      "^TestConformance$/^(HTTPRouteMatching|HTTPRouteCORS)$",
    );
    expect(words).to.include.members(["-all-features=true", "-exempt-features=Mesh"]);
  });

  it("give an address for Gateways that is out of the cluster's own Services, and where nobody is put by chance", () => {
    expect(at(1)).to.include("-usable-address=198.19.0.200");
    expect(at(3)).to.include("-usable-address=198.19.32.200");
  });
});
