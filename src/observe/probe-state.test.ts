import { expect } from "chai";
import { afterProbe, pauseAfter, unprobed } from "./probe-state.ts";

const after = (...answers: (boolean | undefined)[]): boolean | undefined =>
  answers.reduce(afterProbe, unprobed).isAnswering;

describe("what follows from probes of a gateway", () => {
  it("is nothing until one succeeds or three in a row have failed", () => {
    expect(after()).to.equal(undefined);
    expect(after(false, false)).to.equal(undefined);
    expect(after(true)).to.equal(true);
    expect(after(false, false, false)).to.equal(false);
  });

  it("is silence only after three in a row, and its end after two that succeed", () => {
    expect(after(true, false, false)).to.equal(true);
    expect(after(true, false, false, true, false, false)).to.equal(true);
    expect(after(true, false, false, false)).to.equal(false);
    expect(after(false, false, false, false, true)).to.equal(false);
    expect(after(false, false, false, true, false, true)).to.equal(false);
    expect(after(false, false, false, true, true)).to.equal(true);
  });

  it("is looked at more often while in doubt, seldom while it is well, and never all at the same moment", () => {
    const pause = (answers: boolean[], jitter = 0, isUrgent = false): number =>
      pauseAfter(answers.reduce(afterProbe, unprobed), { isUrgent, jitter });
    expect(pause([true])).to.equal(9_000);
    expect(pause([true], 0.99)).to.be.within(10_900, 11_000);
    expect(pause([true, false])).to.equal(1_000);
    expect(pause([true, false, false, false])).to.equal(3_600);
    expect(pause([true, false, false, false, true])).to.equal(1_000);
    expect(pause([true], 0.5, true)).to.equal(2_000);
  });

  it("doesn't count what could not be tried", () => {
    expect(after(true, false, undefined, false, undefined)).to.equal(true);
    expect(after(true, false, undefined, false, undefined, false)).to.equal(false);
  });
});
