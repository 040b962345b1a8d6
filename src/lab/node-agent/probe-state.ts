/**
 * What a row of probe results means. PURE: times and results come from `probe-loop.ts`.
 */
import type { IContainer } from "kubernetes-models/v1/Container";

/** A probe as the Pod spec has it. */
export type Probe = NonNullable<IContainer["readinessProbe"]>;

/** The verdict that holds, and how many equal results came last. */
export interface ProbeState {
  readonly verdict: boolean;
  readonly last: boolean | undefined;
  readonly run: number;
}

/** Readiness and startup begin as failed, liveness as good. */
export function initialProbeState(verdict: boolean): ProbeState {
  return { verdict, last: undefined, run: 0 };
}

/** The state after one more result: the verdict changes after `successThreshold` or `failureThreshold` equal results. */
export function stepProbe(
  state: ProbeState,
  ok: boolean,
  probe: Pick<Probe, "successThreshold" | "failureThreshold">,
): ProbeState {
  const run = state.last === ok ? state.run + 1 : 1;
  const threshold = ok ? (probe.successThreshold ?? 1) : (probe.failureThreshold ?? 3);
  return { verdict: run >= threshold ? ok : state.verdict, last: ok, run };
}

/** Waits between the first attempts of a probe that has not succeeded yet. */
const EAGER_MS = [25, 50, 100, 200, 400, 800];

/** When the next attempt comes, and whether it may count as a failure. */
export interface NextProbe {
  readonly delayMs: number;
  readonly eager: boolean;
}

/**
 * A kubelet asks once per period. Until the first success this asks eagerly in between, so that a Pod is ready milliseconds
 * after its program is; eager failures don't count, so thresholds keep their meaning in time.
 */
export function nextProbe(periodMs: number, eagerDone: number, everSucceeded: boolean): NextProbe {
  const delayMs = EAGER_MS[eagerDone];
  if (everSucceeded || delayMs === undefined || delayMs >= periodMs)
    return { delayMs: periodMs, eager: false };
  return { delayMs, eager: true };
}
