import { expect } from "chai";
import { parseTunnel } from "./tunnel-option.ts";

describe("the text form of a tunnel", () => {
  it("is a name alone or with its quality", () => {
    expect(parseTunnel("business")).to.deep.equal({ name: "business" });
    expect(parseTunnel("mpls,rate=100,delay=20,jitter=2.5,loss=0.1")).to.deep.equal({
      name: "mpls",
      rateMbit: 100,
      delayMs: 20,
      jitterMs: 2.5,
      lossPercent: 0.1,
    });
  });

  it("is refused with a sentence when it makes no sense", () => {
    for (const wrong of ["", "a b", "x,rate=0", "x,rate=", "x,loss=101", "x,colour=red", "x,delay=-1"])
      expect(parseTunnel(wrong), wrong).to.be.a("string");
  });
});
