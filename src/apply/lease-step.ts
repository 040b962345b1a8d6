/**
 * One look at the Lease: what to do about it. Pure.
 *
 * Other machines' clocks are never compared with ours: a Lease has run out when it stood unchanged before our own eyes
 * for as long as it says.
 */

/** What of a Lease matters here. */
export interface LeaseView {
  /** Empty if it was released. */
  readonly holder: string;
  /** Changes with every renewal. */
  readonly resourceVersion: string;
  readonly durationMs: number;
}

/** What was seen, and since when it stands unchanged. */
export interface LeaseSeen {
  readonly resourceVersion: string;
  readonly sinceMs: number;
}

export type LeaseAction = "Create" | "Take" | "Renew" | "Wait";

/** Decides on what a Lease says at a moment (`nowMs`, of a clock that only grows). */
export function lookAtLease(
  lease: LeaseView | undefined,
  seen: LeaseSeen | undefined,
  me: { readonly identity: string; readonly nowMs: number },
): { readonly action: LeaseAction; readonly seen: LeaseSeen | undefined } {
  if (lease === undefined) return { action: "Create", seen: undefined };
  const isSame = seen?.resourceVersion === lease.resourceVersion;
  const next = isSame ? seen : { resourceVersion: lease.resourceVersion, sinceMs: me.nowMs };
  if (lease.holder === me.identity) return { action: "Renew", seen: next };
  const isOver = lease.holder === "" || me.nowMs - next.sinceMs >= lease.durationMs;
  return { action: isOver ? "Take" : "Wait", seen: next };
}
