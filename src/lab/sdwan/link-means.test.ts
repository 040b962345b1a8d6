import { expect } from "chai";
import type { LinkDirection } from "./link-change.ts";
import { dropTable, meansOf, needsWire, type Lacks } from "./link-means.ts";

const poor: LinkDirection = {
  link: "default",
  from: "c1",
  to: "c2",
  quality: { rateMbit: 100, delayMs: 20, jitterMs: 2, lossPercent: 0.5 },
  cut: false,
};
const able: Lacks = { netem: undefined, wire: undefined };
const noNetem: Lacks = { netem: "no netem", wire: undefined };
const nothing: Lacks = { netem: "no netem", wire: "no wire" };

function words(lacks: Lacks, direction = poor): string[] {
  return meansOf(direction, lacks).disciplines.map((discipline) => discipline.words);
}

describe("the means of a link's quality", () => {
  it("are none for a link without limits, and no wire stands in its way", () => {
    const free = { ...poor, quality: {} };
    expect(meansOf(free, noNetem)).to.deep.equal({
      disciplines: [],
      dropPercent: 0,
      appliedBy: {},
      notApplied: [],
    });
    expect(needsWire([free, { ...free, quality: { rateMbit: 5 }, cut: true }], noNetem)).to.equal(false);
  });

  it("are netem with the rate below it, where the kernel has it", () => {
    expect(words(able)).to.deep.equal([
      "root handle 1: netem limit 10000 delay 20ms 2ms loss 0.5%",
      "parent 1:1 handle 2: tbf rate 100mbit burst 125kb latency 100ms",
    ]);
    expect(meansOf(poor, able).appliedBy).to.deep.equal({
      delay: "netem",
      jitter: "netem",
      loss: "netem",
      rate: "tbf",
    });
    expect(needsWire([poor], able)).to.equal(false);
  });

  it("are the wire where it hasn't, with the rate at the sender as before", () => {
    expect(words(noNetem)).to.deep.equal(["root handle 3: tbf rate 100mbit burst 125kb latency 100ms"]);
    expect(meansOf(poor, noNetem).appliedBy).to.deep.equal({
      delay: "wire",
      jitter: "wire",
      loss: "wire",
      rate: "tbf",
    });
    expect(needsWire([{ ...poor, quality: {} }, poor], noNetem)).to.equal(true);
  });

  it("are the packet filter for loss where there is neither, and what is missing is said with both reasons", () => {
    const { appliedBy, notApplied, dropPercent } = meansOf(poor, nothing);
    expect([appliedBy, dropPercent]).to.deep.equal([{ rate: "tbf", loss: "nft" }, 0.5]);
    expect(notApplied).to.deep.equal([
      { quality: "delay", reason: "no netem; no wire" },
      { quality: "jitter", reason: "no netem; no wire" },
    ]);
  });

  it("are the packet filter for a cut, whatever else there is", () => {
    for (const lacks of [able, noNetem, nothing]) {
      const { dropPercent, appliedBy } = meansOf({ ...poor, cut: true }, lacks);
      expect([dropPercent, appliedBy.cut]).to.deep.equal([100, "nft"]);
    }
  });

  it("drop the share that was asked for, and all of a cut", () => {
    const text = dropTable([
      { interfaces: ["wan1-c2", "wire1-c2"], dropPercent: 0.5 },
      { interfaces: ["ctl-c2"], dropPercent: 100 },
      { interfaces: ["wan0-c2"], dropPercent: 0 },
    ]);
    expect(text).to.contain('iifname { "wan1-c2", "wire1-c2" } numgen random mod 1000000 < 5000 drop\n');
    expect(text).to.contain('iifname { "ctl-c2" } drop\n').and.not.to.contain("wan0-c2");
  });
});
