/**
 * Runs one probe of one container run again and again and tells when its verdict changes. One timer per probe; it stops for good
 * when told to.
 */
import { attemptProbe, type ProbeTarget } from "./probe-attempt.ts";
import { initialProbeState, nextProbe, stepProbe, type Probe } from "./probe-state.ts";

/** Who hears of it. */
export interface ProbeListener {
  /** The verdict changed; not called for the initial one. */
  verdict(ok: boolean, message: string): void;
  /** A counted attempt failed. */
  failed(message: string): void;
}

/** One probe at work, from its creation until `stop`. */
export class ProbeLoop {
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #eagerDone = 0;
  #everSucceeded = false;
  #state;
  readonly #probe: Probe;
  readonly #target: ProbeTarget;
  readonly #listener: ProbeListener;

  /** `initial` is the verdict before the first attempt. Eager attempts are made only where that is a failure. */
  constructor(probe: Probe, at: { target: ProbeTarget; initial: boolean }, listener: ProbeListener) {
    this.#probe = probe;
    this.#target = at.target;
    this.#listener = listener;
    this.#state = initialProbeState(at.initial);
    this.#everSucceeded = at.initial;
    const initialDelayMs = (probe.initialDelaySeconds ?? 0) * 1000;
    this.#schedule(at.initial && initialDelayMs === 0 ? this.#periodMs() : initialDelayMs, !at.initial);
  }

  /** No further attempt, no further word. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #periodMs(): number {
    return (this.#probe.periodSeconds ?? 10) * 1000;
  }

  #schedule(delayMs: number, eager: boolean): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => void this.#attempt(eager), delayMs);
  }

  async #attempt(eager: boolean): Promise<void> {
    const { ok, message } = await attemptProbe(this.#probe, this.#target);
    if (this.#stopped) return;
    if (ok) this.#everSucceeded = true;
    if (ok || !eager) {
      const before = this.#state.verdict;
      this.#state = stepProbe(this.#state, ok, this.#probe);
      if (!ok) this.#listener.failed(message);
      if (this.#state.verdict !== before) this.#listener.verdict(this.#state.verdict, message);
    }
    const next = nextProbe(this.#periodMs(), this.#eagerDone, this.#everSucceeded);
    if (next.eager) this.#eagerDone += 1;
    this.#schedule(next.delayMs, next.eager);
  }
}
