/**
 * Whether and when an ended container starts again. PURE.
 */

/** The first restart is at once, then 1 s, doubling to 60 s; the kubelet's own values with its faster decay (KEP-4603). */
const BACK_OFF = { firstMs: 1_000, mostMs: 60_000, forgivenAfterMs: 120_000 };

/** Crashes in a row so far, and how long to wait before the next start. */
export interface CrashBackOff {
  readonly crashes: number;
  readonly waitMs: number;
}

/** No crash yet. */
export const NO_CRASH: CrashBackOff = { crashes: 0, waitMs: 0 };

/** The back-off after a container that ran for `ranMs` has ended. A long run forgives what was before it. */
export function afterExit(before: CrashBackOff, ranMs: number): CrashBackOff {
  const crashes = ranMs >= BACK_OFF.forgivenAfterMs ? 1 : before.crashes + 1;
  const waitMs = crashes === 1 ? 0 : Math.min(BACK_OFF.firstMs * 2 ** (crashes - 2), BACK_OFF.mostMs);
  return { crashes, waitMs };
}

/** Whether a container that ended with `exitCode` is started again under its restart policy. */
export function restarts(policy: string, exitCode: number): boolean {
  return policy === "Always" || (policy === "OnFailure" && exitCode !== 0);
}
