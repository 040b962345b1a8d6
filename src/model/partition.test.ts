import { expect } from "chai";
import type { ServiceImport } from "../api/service-import.ts";
import { isStaleFor, partitionRule, usualStaleAfterMs } from "./partition.ts";
import type { Peer, Settings } from "./world.ts";

const rules = (spec: Partial<ServiceImport["spec"]>): ServiceImport => ({
  apiVersion: "mc-wan.l7mp.io/v1alpha1",
  kind: "ServiceImport",
  metadata: { name: "a" },
  spec,
});
const ofController = { partition: { onPartition: "Drain", staleAfterMs: 60_000 } } as Settings;

describe("what an import makes of a cluster that is not heard", () => {
  it("is its own word, else the controller's, else to keep what was said", () => {
    expect(partitionRule(rules({ onPartition: "Keep", staleAfter: "2m" }), ofController)).to.deep.equal({
      onPartition: "Keep",
      staleAfterMs: 120_000,
    });
    expect(partitionRule(rules({}), ofController)).to.deep.equal({
      onPartition: "Drain",
      staleAfterMs: 60_000,
    });
    expect(partitionRule(undefined, {} as Settings)).to.deep.equal({
      onPartition: "Keep",
      staleAfterMs: usualStaleAfterMs,
    });
    expect(partitionRule(rules({ staleAfter: "soon" }), ofController).staleAfterMs).to.equal(60_000);
  });

  it("begins when the cluster was not heard for so long", () => {
    const rule = { onPartition: "Drain", staleAfterMs: 10_000 } as const;
    const peer = (state: Peer["state"], unheardForMs?: number): Peer => ({ state, unheardForMs }) as Peer;
    expect(isStaleFor(peer("Stale", 10_000), rule)).to.equal(true);
    expect(isStaleFor(peer("Stale", 9_999), rule)).to.equal(false);
    expect(isStaleFor(peer("Stale"), rule)).to.equal(false);
    expect(isStaleFor(peer("Synced", 20_000), rule)).to.equal(false);
  });
});
