import { expect } from "chai";
import { dropTable, qualityCommands } from "./link-quality.ts";

const poor = { name: "default", rateMbit: 100, delayMs: 20, jitterMs: 2, lossPercent: 0.5 };

describe("a tunnel's quality", () => {
  it("needs nothing for a tunnel without limits", () => {
    expect(qualityCommands({ name: "business" }, true)).to.deep.equal({
      disciplines: [],
      dropPercent: 0,
      missing: [],
    });
  });

  it("hangs the rate below the delay where the kernel has netem", () => {
    const { disciplines, dropPercent, missing } = qualityCommands(poor, true);
    expect(disciplines.map((words) => words.join(" "))).to.deep.equal([
      "root handle 1: netem limit 10000 delay 20ms 2ms loss 0.5%",
      "parent 1: handle 2: tbf rate 100mbit burst 125kb latency 100ms",
    ]);
    expect([dropPercent, missing]).to.deep.equal([0, []]);
  });

  it("keeps rate and loss without netem, and says what is missing", () => {
    const { disciplines, dropPercent, missing } = qualityCommands(poor, false);
    expect(disciplines.map((words) => words.join(" "))).to.deep.equal([
      "root handle 2: tbf rate 100mbit burst 125kb latency 100ms",
    ]);
    expect([dropPercent, missing]).to.deep.equal([0.5, ["delay", "jitter"]]);
  });

  it("drops the share that was asked for", () => {
    expect(dropTable([{ interface: "wan1-c2", dropPercent: 0.5 }])).to.contain(
      'iifname "wan1-c2" numgen random mod 1000000 < 5000 drop',
    );
  });
});
