import { expect } from "chai";
import { realTiming } from "./real-timing.ts";

describe("the machine's timers", () => {
  it("never come before the time has passed by the clock that they are asked with, however often the loop turns", async () => {
    let isSpinning = true;
    const spin = (): void => {
      if (isSpinning) setImmediate(spin);
    };
    spin();
    const earlyMs: number[] = [];
    for (let round = 0; round < 30; round += 1) {
      const timers = Array.from({ length: 20 }, async (_, index) => {
        const delayMs = 1 + index / 3 + round / 31;
        const startedMs = realTiming.now();
        await new Promise<void>((resolve) => realTiming.after(delayMs, resolve));
        const passedMs = realTiming.now() - startedMs;
        if (passedMs < delayMs) earlyMs.push(delayMs - passedMs);
      });
      await Promise.all(timers);
    }
    isSpinning = false;
    expect(earlyMs).to.deep.equal([]);
  });

  it("come once, and not at all when they are cancelled", async () => {
    let calls = 0;
    const call = (): void => {
      calls += 1;
    };
    realTiming.after(10, call);
    const cancel = realTiming.after(60, call);
    await new Promise<void>((resolve) => realTiming.after(40, resolve));
    cancel();
    realTiming.after(0, call)();
    await new Promise<void>((resolve) => realTiming.after(80, resolve));
    expect(calls).to.equal(1);
  });
});
