/** Clock, timers and randomness as arguments: stages with state get the real ones from run.ts, tests give their own. */

export interface Timing {
  /** Milliseconds that only grow, from an arbitrary start. */
  now(): number;
  /** Time of day, in milliseconds since 1970: for what is written down, never for durations. */
  today(): number;
  /** 0 ≤ x < 1. */
  random(): number;
  /** Calls once, when so long has passed by {@link now}, or later. Gives what cancels it. */
  after(delayMs: number, callback: () => void): () => void;
}

/** Waits; ends early, without an error, when the signal does. */
export function pause(timing: Timing, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise<void>((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const end = (): void => {
      cancel();
      signal.removeEventListener("abort", end);
      resolve();
    };
    const cancel = timing.after(delayMs, end);
    signal.addEventListener("abort", end, { once: true });
  });
}

/** Exponential back-off with jitter: between half of and the whole of `first` × 2^failures, never over `longest`. */
export function backOffMs(
  failures: number,
  bounds: { readonly firstMs: number; readonly longestMs: number },
  random: number,
): number {
  const whole = Math.min(bounds.longestMs, bounds.firstMs * 2 ** Math.min(failures, 30));
  return whole * (0.5 + random / 2);
}
