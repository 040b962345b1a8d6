/** The machine's clock, timers and randomness. */
import { setImmediate, clearImmediate, setTimeout, clearTimeout } from "node:timers";
import type { Timing } from "../../model/timing.ts";

export const realTiming: Timing = {
  now: () => performance.now(),
  today: () => Date.now(),
  random: () => Math.random(),
  after: (delayMs, callback) => {
    // A time-out of 0 takes 1 ms.
    if (delayMs <= 0) {
      const immediate = setImmediate(callback);
      return () => {
        clearImmediate(immediate);
      };
    }
    const timer = setTimeout(callback, delayMs);
    return () => {
      clearTimeout(timer);
    };
  },
};
