import { expect } from "chai";
import { parseQuality, parseTunnel } from "./tunnel-option.ts";

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
    for (const wrong of [
      "",
      "a b",
      "x,rate=0",
      "x,rate=",
      "x,loss=101",
      "x,colour=red",
      "x,delay=-1",
      "control-plane",
    ])
      expect(parseTunnel(wrong), wrong).to.be.a("string");
  });

  it("may be a quality alone, where 0 takes a limit away", () => {
    expect(parseQuality(["rate=0", "delay=5"])).to.deep.equal({ rateMbit: 0, delayMs: 5 });
    expect(parseQuality(["delay"])).to.equal("delay is a number up to 10000.");
  });
});
