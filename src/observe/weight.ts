/**
 * How much is held of a kind of a cluster that is not ours, and how much may be: more than that is never held, so that a peer which says
 * too much takes nobody's memory. Objects are weighed once.
 */
import { UnavailableError } from "../model/errors.ts";
import type { KindInfo } from "../model/kinds.ts";
import type { KubeObject } from "../model/kube-object.ts";
import type { WatchStep } from "./watch-event.ts";

/** The most that is held; `bytes` are characters of JSON. */
export interface Quota {
  readonly objects: number;
  readonly bytes: number;
}

/** A cluster holds more than is taken of it. It is asked again after a minute. */
export class QuotaError extends UnavailableError {
  constructor({ plural }: KindInfo, { objects, bytes }: Quota) {
    super(
      `there are more than ${objects} ${plural}, or more than ${Math.round(bytes / 1024 / 1024)} MiB of them`,
      {
        retryAfterMs: 60_000,
      },
    );
  }
}

/** Without a quota nothing is weighed. */
export class Weight {
  readonly #kind: KindInfo;
  readonly #quota: Quota | undefined;
  readonly #sizes = new WeakMap<KubeObject, number>();
  /** Of all that is held. */
  #bytes = 0;

  constructor(kind: KindInfo, quota: Quota | undefined) {
    this.#kind = kind;
    this.#quota = quota;
  }

  /** What objects weigh together. */
  of(objects: Iterable<KubeObject>): number {
    if (this.#quota === undefined) return 0;
    let sum = 0;
    for (const object of objects) {
      const size = this.#sizes.get(object) ?? JSON.stringify(object).length;
      this.#sizes.set(object, size);
      sum += size;
    }
    return sum;
  }

  /** @throws QuotaError if this is more than may be held. */
  check(objects: number, bytes: number): void {
    if (this.#quota === undefined) return;
    if (objects > this.#quota.objects || bytes > this.#quota.bytes) throw this.tooMuch;
  }

  /** Notes what is held after a list. */
  isHeld(held: ReadonlyMap<string, KubeObject>): void {
    this.#bytes = this.of(held.values());
  }

  /** Whether there is room for what an event brings; it is then counted as held. */
  takes(
    held: ReadonlyMap<string, KubeObject>,
    step: Exclude<WatchStep, { type: "Relist" | "Progress" }>,
  ): boolean {
    if (this.#quota === undefined) return true;
    const before = held.get(step.key);
    const released = before === undefined ? 0 : this.of([before]);
    if (step.type === "Remove") {
      this.#bytes -= released;
      return true;
    }
    const objects = held.size + (before === undefined ? 1 : 0);
    const bytes = this.#bytes - released + this.of([step.object]);
    if (objects > this.#quota.objects || bytes > this.#quota.bytes) return false;
    this.#bytes = bytes;
    return true;
  }

  /** The failure that says so. */
  get tooMuch(): QuotaError {
    return new QuotaError(this.#kind, this.#quota ?? { objects: 0, bytes: 0 });
  }
}
