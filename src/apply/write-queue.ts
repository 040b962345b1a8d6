/**
 * The writes that are to be done, by key: the newest of a key wins, a failing key waits by itself, nothing is written
 * twice at once, and what asks for a pause not too often.
 *
 *     plan → set → [key → item] → at most N at once → written | failed: again after a growing, jittered pause
 *
 * p-queue limits how many run; order, repetition and waiting are decided here. While urgent writes run, the others go on one
 * at a time: an API server that works on sixteen of them at once answers none soon.
 */
import PQueue from "p-queue";
import { UnavailableError } from "../model/errors.ts";
import { backOffMs } from "../model/timing.ts";
import type { Timing } from "../model/timing.ts";

const backOff = { firstMs: 100, longestMs: 30_000 };
/** A write whose effect was not seen after this time is done again. */
const unseenMs = 5000;
/** Rewriting the same intent this often in {@link flipWindowMs} means that somebody else writes something else. */
const maxFlips = 3;
const flipWindowMs = 60_000;
/** Above so many, old ones are forgotten. */
const maxRemembered = 5000;

export interface QueuedWrite {
  /** Same text: the same intent is written again. */
  readonly intent: string;
  /** Version of what stood when it was planned; empty if nothing did. */
  readonly base: string;
  /** Least time since the last write of the key that asked for a pause, in ms. */
  readonly pauseMs?: number;
  /** Traffic or a peer waits for it. */
  readonly isUrgent?: boolean;
}

export interface WriteQueueOptions<T extends QueuedWrite> {
  readonly concurrency: number;
  readonly timing: Timing;
  readonly write: (key: string, item: T) => Promise<void>;
  /** A write failed, for the first time (0) or again. */
  readonly failed: (key: string, error: unknown, failures: number) => void;
  /** What was written was planned again meanwhile, perhaps because its effect was seen before its answer came. */
  readonly overtaken?: () => void;
  /** Somebody else keeps undoing what is written. */
  readonly contested: (key: string, flips: number) => void;
}

interface Entry<T> {
  /** Undefined when nothing is wanted any more, but a write still runs. */
  item: T | undefined;
  /** The intent of the last write that succeeded. */
  done: string | undefined;
  isRunning: boolean;
  failures: number;
  /** The last failure was a conflict (409): a new base is worth a new try at once. */
  isRace: boolean;
  cancelWait: (() => void) | undefined;
}

interface Flips {
  intent: string;
  count: number;
  sinceMs: number;
}

export class WriteQueue<T extends QueuedWrite> {
  readonly #options: WriteQueueOptions<T>;
  readonly #urgent: PQueue;
  readonly #others: PQueue;
  readonly #entries = new Map<string, Entry<T>>();
  readonly #flips = new Map<string, Flips>();
  /** When keys were written last that asked for a pause. */
  readonly #paced = new Map<string, number>();
  #isStopped = false;

  constructor(options: WriteQueueOptions<T>) {
    this.#options = options;
    const { concurrency } = options;
    this.#urgent = new PQueue({ concurrency });
    this.#others = new PQueue({ concurrency });
    this.#urgent.addEventListener("idle", () => {
      this.#others.concurrency = concurrency;
    });
  }

  /** How many keys wait for a write, or for its effect. */
  get size(): number {
    return this.#entries.size;
  }

  /** All writes that are to be done now, in order. What is not among them is no longer to be done. */
  set(items: ReadonlyMap<string, T>): void {
    if (this.#isStopped) return;
    for (const [key, entry] of this.#entries) {
      if (items.has(key)) continue;
      entry.cancelWait?.();
      entry.item = undefined;
      if (!entry.isRunning) this.#entries.delete(key);
    }
    for (const [key, item] of items) this.#want(key, item);
  }

  /** Starts nothing more; resolves when what runs has ended. */
  async stop(): Promise<void> {
    this.set(new Map());
    this.#isStopped = true;
    for (const queue of [this.#urgent, this.#others]) queue.clear();
    await Promise.all([this.#urgent.onIdle(), this.#others.onIdle()]);
  }

  #want(key: string, item: T): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) {
      const made: Entry<T> = {
        item,
        done: undefined,
        isRunning: false,
        failures: 0,
        isRace: false,
        cancelWait: undefined,
      };
      this.#entries.set(key, made);
      this.#begin(key, item, made);
      return;
    }
    const isOther = entry.item?.intent !== item.intent;
    // The same write, planned again before the effect of the first was seen.
    if (!isOther && entry.item?.base === item.base) return;
    entry.item = item;
    if (isOther) entry.failures = 0;
    // What changed elsewhere is no reason to hurry after a failure; a new intent is.
    if (entry.isRunning || (entry.failures > 0 && !isOther && !entry.isRace)) return;
    entry.cancelWait?.();
    this.#begin(key, item, entry);
  }

  #begin(key: string, item: T, entry: Entry<T>): void {
    const waitMs = Math.max(this.#contestedMs(key, item), this.#restMs(key, item));
    if (waitMs > 0) this.#wait(key, entry, waitMs);
    else this.#enqueue(key, entry);
  }

  #wait(key: string, entry: Entry<T>, delayMs: number): void {
    entry.cancelWait = this.#options.timing.after(delayMs, () => {
      entry.cancelWait = undefined;
      if (this.#entries.get(key) === entry) this.#enqueue(key, entry);
    });
  }

  #enqueue(key: string, entry: Entry<T>): void {
    entry.isRunning = true;
    const isUrgent = entry.item?.isUrgent === true;
    if (isUrgent) this.#others.concurrency = 1;
    void (isUrgent ? this.#urgent : this.#others).add(() => this.#run(key, entry));
  }

  async #run(key: string, entry: Entry<T>): Promise<void> {
    const { item } = entry;
    const askedMs = item === undefined ? 0 : await this.#write(key, entry, item);
    entry.isRunning = false;
    if (entry.item === undefined) {
      this.#entries.delete(key);
    } else if (entry.failures > 0) {
      const pauseMs = backOffMs(entry.failures - 1, backOff, this.#options.timing.random());
      this.#wait(key, entry, Math.max(pauseMs, askedMs));
    } else if (entry.item.intent === entry.done) {
      // What was planned while it ran is answered by it too.
      this.#wait(key, entry, unseenMs);
      if (entry.item !== item) this.#options.overtaken?.();
    } else {
      this.#begin(key, entry.item, entry);
    }
  }

  /** One write; gives for how long the server asked to be left alone, in milliseconds. */
  async #write(key: string, entry: Entry<T>, item: T): Promise<number> {
    try {
      await this.#options.write(key, item);
      entry.failures = 0;
      entry.done = item.intent;
      this.#noteWrite(key, item);
      return 0;
    } catch (error) {
      this.#options.failed(key, error, entry.failures);
      entry.failures += 1;
      entry.isRace = error instanceof UnavailableError && error.status === 409;
      return error instanceof UnavailableError ? Math.min(error.retryAfterMs ?? 0, 60_000) : 0;
    }
  }

  /** What is left of the pause that an item asks for. */
  #restMs(key: string, { pauseMs = 0 }: T): number {
    const lastMs = pauseMs === 0 ? undefined : this.#paced.get(key);
    return lastMs === undefined ? 0 : Math.max(0, lastMs + pauseMs - this.#options.timing.now());
  }

  #noteWrite(key: string, item: T): void {
    const now = this.#options.timing.now();
    if ((item.pauseMs ?? 0) > 0) {
      // The newest last, so that the oldest are forgotten.
      this.#paced.delete(key);
      this.#paced.set(key, now);
      const [oldest] = this.#paced.keys();
      if (this.#paced.size > maxRemembered && oldest !== undefined) this.#paced.delete(oldest);
    }
    const flips = this.#flips.get(key);
    if (flips?.intent === item.intent && now - flips.sinceMs < flipWindowMs) flips.count += 1;
    else this.#flips.set(key, { intent: item.intent, count: 1, sinceMs: now });
    if (this.#flips.size <= maxRemembered) return;
    for (const [other, { sinceMs }] of this.#flips)
      if (now - sinceMs >= flipWindowMs) this.#flips.delete(other);
  }

  /** How long to leave a contested key alone. */
  #contestedMs(key: string, item: T): number {
    const flips = this.#flips.get(key);
    if (flips === undefined) return 0;
    const isOver = this.#options.timing.now() - flips.sinceMs >= flipWindowMs;
    if (flips.intent !== item.intent || isOver) {
      this.#flips.delete(key);
      return 0;
    }
    if (flips.count <= maxFlips) return 0;
    this.#options.contested(key, flips.count);
    return backOffMs(
      flips.count - maxFlips,
      { firstMs: 1000, longestMs: 30_000 },
      this.#options.timing.random(),
    );
  }
}
