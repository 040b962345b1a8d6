import { expect } from "chai";
import { afterProbe, unprobed } from "./probe-state.ts";

const after = (...answers: (boolean | undefined)[]): boolean | undefined =>
  answers.reduce(afterProbe, unprobed).isAnswering;

describe("what follows from probes of a gateway", () => {
  it("is nothing until one succeeds or three in a row have failed", () => {
    expect(after()).to.equal(undefined);
    expect(after(false, false)).to.equal(undefined);
    expect(after(true)).to.equal(true);
    expect(after(false, false, false)).to.equal(false);
  });

  it("is silence only after three in a row, and its end with the first that succeeds", () => {
    expect(after(true, false, false)).to.equal(true);
    expect(after(true, false, false, true, false, false)).to.equal(true);
    expect(after(true, false, false, false)).to.equal(false);
    expect(after(false, false, false, false, true)).to.equal(true);
  });

  it("doesn't count what could not be tried", () => {
    expect(after(true, false, undefined, false, undefined)).to.equal(true);
    expect(after(true, false, undefined, false, undefined, false)).to.equal(false);
  });
});
