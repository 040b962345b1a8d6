import { expect } from "chai";
import type { KubeObject } from "../model/kube-object.ts";
import { findingsOf } from "./findings.ts";

function serviceExport(...conditions: readonly [type: string, status: string, reason: string][]): KubeObject {
  return {
    apiVersion: "multicluster.x-k8s.io/v1beta1",
    kind: "ServiceExport",
    metadata: { namespace: "secure", name: "payment" },
    status: {
      conditions: conditions.map(([type, status, reason]) => ({ type, status, reason, message: "Why." })),
    },
  };
}

describe("what is wrong with an object", () => {
  it("is nothing if all that should hold does, and no conflict is told", () => {
    const good = serviceExport(["Valid", "True", "Valid"], ["Conflict", "False", "NoConflicts"]);
    expect(findingsOf(good, "Valid")).to.deep.equal([]);
  });

  it("is each condition that should hold and doesn't, unknown ones too, and each conflict", () => {
    const bad = serviceExport(
      ["Valid", "True", "Valid"],
      ["Ready", "Unknown", "Pending"],
      ["Conflict", "True", "PortConflict"],
    );
    expect(findingsOf(bad, "Valid")).to.deep.equal([
      { object: "ServiceExport secure/payment", type: "Ready", reason: "Pending", message: "Why." },
      { object: "ServiceExport secure/payment", type: "Conflict", reason: "PortConflict", message: "Why." },
    ]);
  });

  it("is that nobody has looked yet, where the first condition is missing", () => {
    expect(findingsOf(serviceExport(), "Valid").map(({ type, reason }) => [type, reason])).to.deep.equal([
      ["Valid", "Unseen"],
    ]);
  });

  it("is not what this version does nowhere", () => {
    const noted = serviceExport(["Valid", "True", "Valid"], ["DSCPApplied", "False", "DSCPNotApplied"]);
    expect(findingsOf(noted, "Valid")).to.deep.equal([]);
  });
});
