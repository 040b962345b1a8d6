/** What follows from probes of one gateway: silent after three in a row that fail, there again after one that succeeds. Pure. */

/** How many probes in a row have to fail. */
const silentAfter = 3;

/** What is known of a gateway. */
export interface ProbeState {
  /** Failures in a row. */
  readonly failures: number;
  /** Whether it takes connections; undefined until that can be told. */
  readonly isAnswering: boolean | undefined;
}

/** Nothing was tried yet. */
export const unprobed: ProbeState = { failures: 0, isAnswering: undefined };

/** The state after a probe; `answer` is undefined where the probe could not be made. */
export function afterProbe(before: ProbeState, answer: boolean | undefined): ProbeState {
  if (answer === undefined) return before;
  if (answer) return { failures: 0, isAnswering: true };
  const failures = Math.min(before.failures + 1, silentAfter);
  return { failures, isAnswering: failures < silentAfter ? before.isAnswering : false };
}
