/**
 * Turns many changes into few passes: the first change after a quiet time is passed on at once, those that follow are
 * gathered until they pause, or for so long at most.
 */
import type { Timing } from "../model/timing.ts";

export interface HoldOffOptions {
  /** A pause of this length ends the gathering. */
  readonly holdOffMs: number;
  /** The longest that a change is held. */
  readonly longestMs: number;
  readonly timing: Timing;
  /** One pass. Must not throw. */
  readonly run: () => void;
}

export class HoldOff {
  readonly #options: HoldOffOptions;
  #cancel: (() => void) | undefined;
  #since = 0;
  #isLeading = false;
  #quietFrom = -Infinity;

  constructor(options: HoldOffOptions) {
    this.#options = options;
  }

  /** Something changed. */
  touch(): void {
    const { timing, holdOffMs, longestMs } = this.#options;
    const now = timing.now();
    if (this.#cancel === undefined) {
      this.#since = now;
      this.#isLeading = now >= this.#quietFrom;
    } else if (this.#isLeading) {
      return;
    }
    this.#cancel?.();
    const delayMs = this.#isLeading ? 0 : Math.min(holdOffMs, Math.max(0, this.#since + longestMs - now));
    this.#cancel = timing.after(delayMs, () => {
      this.#cancel = undefined;
      this.#options.run();
      this.#quietFrom = timing.now() + holdOffMs;
    });
  }

  /** Forgets what is held. */
  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}
