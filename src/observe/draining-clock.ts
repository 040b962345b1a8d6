/**
 * Tells which draining ports of our own advertisement have waited for peers for too long, and wakes the observer when the
 * next one has. Counts from when this replica first saw a port there, by the monotonic clock: a time of day that is set
 * closes nothing early.
 */
import type { GatewayAdvertisement } from "../api/gateway-advertisement.ts";
import type { Timing } from "../model/timing.ts";
import { drainingKey } from "../model/world.ts";

export interface DrainingClockOptions {
  readonly timing: Timing;
  readonly limitMs: number;
  /** Called when the answer is another one. */
  readonly wake: () => void;
}

export class DrainingClock {
  readonly #options: DrainingClockOptions;
  #pool: GatewayAdvertisement | undefined;
  /** When each port that drains was first seen. */
  #since = new Map<string, number>();
  #overdue: ReadonlySet<string> = new Set();
  #dueMs = Infinity;
  #cancel: (() => void) | undefined;

  constructor(options: DrainingClockOptions) {
    this.#options = options;
  }

  /** Keys (model/world.ts) of those that are over: the same Set while it is the same. Cheap while nothing changes. */
  overdue(pool: GatewayAdvertisement | undefined): ReadonlySet<string> {
    const { timing, limitMs, wake } = this.#options;
    const nowMs = timing.now();
    if (pool === this.#pool && nowMs < this.#dueMs) return this.#overdue;
    this.#pool = pool;
    const keys = (pool?.spec.draining ?? []).map(drainingKey);
    this.#since = new Map(keys.map((key) => [key, this.#since.get(key) ?? nowMs]));
    const over = keys.filter((key) => this.#endOf(key) <= nowMs);
    if (over.length !== this.#overdue.size || !over.every((key) => this.#overdue.has(key)))
      this.#overdue = new Set(over);
    const ends = keys.map((key) => this.#endOf(key)).filter((end) => end > nowMs);
    this.#dueMs = Math.min(...ends);
    this.#cancel?.();
    this.#cancel =
      this.#dueMs === Infinity ? undefined : timing.after(Math.min(this.#dueMs - nowMs, limitMs), wake);
    return this.#overdue;
  }

  stop(): void {
    this.#cancel?.();
  }

  #endOf(key: string): number {
    return (this.#since.get(key) ?? 0) + this.#options.limitMs;
  }
}
