/** The machine's clock, timers and randomness. */
import { setImmediate, clearImmediate, setTimeout, clearTimeout } from "node:timers";
import type { Timing } from "../../model/timing.ts";

export const realTiming: Timing = {
  now: () => performance.now(),
  today: () => Date.now(),
  random: () => Math.random(),
  after: (delayMs, callback) => {
    if (delayMs <= 0) {
      // A time-out of 0 takes 1 ms.
      const immediate = setImmediate(callback);
      return () => {
        clearImmediate(immediate);
      };
    }
    // Node counts whole milliseconds: its timers may come one too early by our clock, and who then looks finds nothing due.
    const dueMs = performance.now() + delayMs;
    const look = (): void => {
      const restMs = dueMs - performance.now();
      if (restMs > 0) timer = setTimeout(look, restMs);
      else callback();
    };
    let timer = setTimeout(look, delayMs);
    return () => {
      clearTimeout(timer);
    };
  },
};
