/**
 * What follows from probes of one gateway: silent after three in a row that fail, there again after two that succeed; and
 * when to look next. Pure.
 */

/** How many probes in a row have to fail, or to succeed after silence. */
const silentAfter = 3;
const thereAfter = 2;

/** From the end of a probe to the next: of a gateway that is well, one in doubt, one that is silent, one that is urgent. */
const pauseMs = { well: 10_000, doubt: 1_000, silent: 4_000, urgent: 2_000 } as const;

/** What is known of a gateway. */
export interface ProbeState {
  /** Failures in a row. */
  readonly failures: number;
  /** Successes in a row after silence. */
  readonly successes: number;
  /** Whether it takes connections; undefined until that can be told. */
  readonly isAnswering: boolean | undefined;
}

/** Nothing was tried yet. */
export const unprobed: ProbeState = { failures: 0, successes: 0, isAnswering: undefined };

/** The state after a probe; `answer` is undefined where the probe could not be made. */
export function afterProbe(before: ProbeState, answer: boolean | undefined): ProbeState {
  if (answer === undefined) return before;
  if (answer) {
    const successes = before.isAnswering === false ? before.successes + 1 : 0;
    const isBack = before.isAnswering !== false || successes >= thereAfter;
    return { failures: 0, successes: isBack ? 0 : successes, isAnswering: isBack };
  }
  const failures = Math.min(before.failures + 1, silentAfter);
  return { failures, successes: 0, isAnswering: failures < silentAfter ? before.isAnswering : false };
}

/** How long until the next probe, in ms; jitter (0 to 1) spreads those of several replicas and gateways over a fifth of it. */
export function pauseAfter(
  { failures, successes, isAnswering }: ProbeState,
  { isUrgent, jitter }: { readonly isUrgent: boolean; readonly jitter: number },
): number {
  const isInDoubt = successes > 0 || (failures > 0 && isAnswering !== false);
  if (isInDoubt) return pauseMs.doubt;
  const whole = isUrgent ? pauseMs.urgent : isAnswering === false ? pauseMs.silent : pauseMs.well;
  return whole * (0.9 + 0.2 * jitter);
}
