import { expect } from "chai";
import { queueDisciplines } from "./link-quality.ts";

describe("a tunnel's queue disciplines", () => {
  it("are none for a tunnel without limits", () => {
    expect(queueDisciplines({ name: "business" })).to.deep.equal([]);
  });

  it("hang the rate below the delay when there are both", () => {
    const [delay, rate] = queueDisciplines({ name: "default", rateMbit: 100, delayMs: 20, lossPercent: 0.5 });
    expect(delay?.words.join(" ")).to.equal("root handle 1: netem limit 10000 delay 20ms 0ms loss 0.5%");
    expect(rate?.words.join(" ")).to.equal("parent 1: handle 2: tbf rate 100mbit burst 125kb latency 100ms");
  });
});
