import { expect } from "chai";
import { backOffMs, pause, type Timing } from "./timing.ts";

/** A clock that stands: calls wait until they are made by hand. */
class Held implements Timing {
  readonly waiting = new Map<number, () => void>();
  #next = 0;
  now(): number {
    return 0;
  }
  today(): number {
    return 0;
  }
  random(): number {
    return 0;
  }
  after(_delayMs: number, callback: () => void): () => void {
    const id = this.#next++;
    this.waiting.set(id, callback);
    return () => this.waiting.delete(id);
  }
}

describe("backOffMs", () => {
  const bounds = { firstMs: 100, longestMs: 1000 };
  const cases: readonly (readonly [failures: number, random: number, ms: number])[] = [
    [0, 0, 50],
    [0, 1, 100],
    [2, 1, 400],
    [4, 1, 1000],
    [100_000, 0, 500],
  ];
  for (const [failures, random, ms] of cases) {
    it(`is ${ms} ms after ${failures} failures, at ${random} of the jitter`, () => {
      expect(backOffMs(failures, bounds, random)).to.equal(ms);
    });
  }
});

describe("pause", () => {
  it("ends when its time has come", async () => {
    const timing = new Held();
    const ended = pause(timing, 10, new AbortController().signal);
    for (const callback of timing.waiting.values()) callback();
    await ended;
    expect(timing.waiting.size).to.equal(0);
  });

  it("ends early and leaves no timer when it is aborted", async () => {
    const timing = new Held();
    const stop = new AbortController();
    const ended = pause(timing, 10, stop.signal);
    stop.abort();
    await ended;
    expect(timing.waiting.size).to.equal(0);
  });

  it("does not begin when it is aborted already", async () => {
    const timing = new Held();
    await pause(timing, 10, AbortSignal.abort());
    expect(timing.waiting.size).to.equal(0);
  });
});
