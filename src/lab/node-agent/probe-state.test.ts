import { expect } from "chai";
import { initialProbeState, nextProbe, stepProbe } from "./probe-state.ts";
import { afterExit, NO_CRASH, restarts } from "./restart-policy.ts";

describe("a probe's verdict", () => {
  it("changes to failed only after failureThreshold failures in a row", () => {
    const probe = { failureThreshold: 3 };
    let state = initialProbeState(true);
    const verdicts = [false, false, true, false, false, false, true].map((ok) => {
      state = stepProbe(state, ok, probe);
      return state.verdict;
    });
    expect(verdicts).to.deep.equal([true, true, true, true, true, false, true]);
  });

  it("changes to good only after successThreshold successes in a row", () => {
    let state = initialProbeState(false);
    const verdicts = [true, false, true, true].map((ok) => {
      state = stepProbe(state, ok, { successThreshold: 2 });
      return state.verdict;
    });
    expect(verdicts).to.deep.equal([false, false, false, true]);
  });

  it("is asked for eagerly before the first success and once per period after it", () => {
    expect(nextProbe(10_000, 0, false)).to.deep.equal({ delayMs: 25, eager: true });
    expect(nextProbe(10_000, 5, false)).to.deep.equal({ delayMs: 800, eager: true });
    expect(nextProbe(10_000, 6, false)).to.deep.equal({ delayMs: 10_000, eager: false });
    expect(nextProbe(10_000, 0, true)).to.deep.equal({ delayMs: 10_000, eager: false });
  });
});

describe("a container's restart", () => {
  it("comes at once the first time, then with a doubling wait up to a minute", () => {
    let backOff = NO_CRASH;
    const waits = Array.from({ length: 9 }, () => (backOff = afterExit(backOff, 10)).waitMs);
    expect(waits).to.deep.equal([0, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000]);
  });

  it("forgets earlier crashes after a long run", () => {
    expect(afterExit({ crashes: 7, waitMs: 60_000 }, 600_000)).to.deep.equal({ crashes: 1, waitMs: 0 });
  });

  it("follows the restart policy", () => {
    expect([
      restarts("Always", 0),
      restarts("OnFailure", 0),
      restarts("OnFailure", 1),
      restarts("Never", 1),
    ]).to.deep.equal([true, false, true, false]);
  });
});
