/** Tells which certificates have ended, and wakes the observer when the next one does. */
import type { ObjectTypes } from "../model/kinds.ts";
import { endOfCertificate } from "../model/tls-objects.ts";
import type { Timing } from "../model/timing.ts";
import type { Store } from "../model/world.ts";

/** Longest wait, in milliseconds: the time of day may be set in between. */
const longestWaitMs = 3_600_000;

export class CertificateClock {
  readonly #timing: Timing;
  readonly #wake: () => void;
  #secrets: Store<ObjectTypes["TlsSecret"]> | undefined;
  #ends: readonly (readonly [string, number])[] = [];
  /** By Secret, so that a change of one reads no other again. */
  readonly #known = new WeakMap<ObjectTypes["TlsSecret"], { readonly end: number | undefined }>();
  #expired: ReadonlySet<string> = new Set();
  /** Time of day at which the answer may be another. */
  #dueMs = Infinity;
  #cancel: (() => void) | undefined;

  /** `wake` is called when the answer may be another. */
  constructor(timing: Timing, wake: () => void) {
    this.#timing = timing;
    this.#wake = wake;
  }

  /** Keys of the Secrets whose certificates have ended: the same Set while it is the same. */
  expired(secrets: Store<ObjectTypes["TlsSecret"]>): ReadonlySet<string> {
    const nowMs = this.#timing.today();
    if (secrets === this.#secrets && nowMs < this.#dueMs) return this.#expired;
    if (secrets !== this.#secrets) {
      this.#secrets = secrets;
      this.#ends = [...secrets].flatMap(([key, secret]): (readonly [string, number])[] => {
        const end = this.#endOf(secret);
        return end === undefined ? [] : [[key, end]];
      });
    }
    const over = this.#ends.filter(([, end]) => end <= nowMs).map(([key]) => key);
    if (over.length !== this.#expired.size || !over.every((key) => this.#expired.has(key)))
      this.#expired = new Set(over);
    const next = this.#ends.reduce((least, [, end]) => (end > nowMs && end < least ? end : least), Infinity);
    this.#dueMs = Math.min(next, nowMs + longestWaitMs);
    this.#cancel?.();
    this.#cancel = next === Infinity ? undefined : this.#timing.after(this.#dueMs - nowMs, this.#wake);
    return this.#expired;
  }

  stop(): void {
    this.#cancel?.();
  }

  #endOf(secret: ObjectTypes["TlsSecret"]): number | undefined {
    const known = this.#known.get(secret) ?? { end: endOfCertificate(secret) };
    this.#known.set(secret, known);
    return known.end;
  }
}
