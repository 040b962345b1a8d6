/**
 * Holds all objects of one kind of one cluster: lists once, then follows a watch, for as long as it runs.
 *
 *     list (pages) → watch → events … → watch again from the last version …
 *          ↑___ version expired, line not understood, server error
 *
 * A failure never empties what is held, and a new list replaces it at once and as a whole. Never synced before the
 * first whole list. Every failure is retried with growing, jittered pauses. A stream that stays silent for longer than
 * bookmarks come is taken for dead. Handlers are called synchronously and must not throw.
 */
import { RefusedError, UnavailableError } from "../model/errors.ts";
import type { KindInfo } from "../model/kinds.ts";
import type { KubeObject } from "../model/kube-object.ts";
import { isOlder } from "../model/resource-version.ts";
import { backOffMs, pause } from "../model/timing.ts";
import type { Timing } from "../model/timing.ts";
import { MalformedLineError } from "./kube-reader.ts";
import type { KubeReader, Selection } from "./kube-reader.ts";
import { isUnchanged, mergeList, readObject, readWatchLine } from "./watch-event.ts";
import type { RelistReason, WatchStep } from "./watch-event.ts";
import { Weight, type Quota } from "./weight.ts";

const defaultPageSize = 500;
const backOff = { firstMs: 200, longestMs: 3000 };
/** How often it is asked whether what may be forbidden still is, in ms. */
const forbiddenPauseMs = 10_000;
/** A watch that lived this long ends a row of failures. */
const healthyWatchMs = 5000;
/** How many lists older than what was seen already are refused; after that, the cluster was restored from a backup. */
const maxStaleLists = 3;

/** What happens to a reflector, for World and metrics. */
interface ReflectorEvents {
  /** Objects changed, or the first list arrived. */
  changed(): void;
  /** A list begins. */
  listing(reason: RelistReason): void;
  /** A list or a watch failed, for the first time after it worked or again. */
  failed(error: unknown, failures: number): void;
  /** It works again, or for the first time. */
  recovered(): void;
  /** A watch event was taken in. */
  received(): void;
}

export interface ReflectorOptions {
  readonly kind: KindInfo;
  readonly selection: Selection;
  readonly reader: KubeReader;
  readonly timing: Timing;
  readonly events: ReflectorEvents;
  /** A 404 for the whole kind counts as an empty list: its CRD need not be installed. */
  readonly isOptional?: boolean;
  /** So does a 403: who doesn't want it read gives no right to it. Whether there is one is asked before, not tried. */
  readonly mayBeForbidden?: boolean;
  /** Most objects in a page: fewer where they are large and little of them is kept. */
  readonly pageSize?: number;
  /** What is kept of each object. Takes metadata.resourceVersion away: a change of what is not kept is none. */
  readonly project?: (object: KubeObject) => KubeObject;
  /** Most that is kept of a cluster that is not ours; beyond, a list or an event fails, and what was heard before stays. */
  readonly quota?: Quota;
}

/** See the file's head. Started by {@link run}. */
export class Reflector {
  readonly #options: ReflectorOptions;
  #objects: ReadonlyMap<string, KubeObject> = new Map();
  /** A copy that events change in place, until somebody asks for the objects. */
  #working: Map<string, KubeObject> | undefined;
  #resourceVersion: string | undefined;
  readonly #weight: Weight;
  #isSynced = false;
  #isFailing = false;
  #failures = 0;
  #staleLists = 0;
  #relist: RelistReason | undefined = "First";

  constructor(options: ReflectorOptions) {
    this.#options = options;
    this.#weight = new Weight(options.kind, options.quota);
  }

  /** Whether the whole kind was listed once. */
  get isSynced(): boolean {
    return this.#isSynced;
  }

  /** Whether the last list or watch failed. */
  get isFailing(): boolean {
    return this.#isFailing;
  }

  /** The objects: the same Map while nothing changes, never changed in place. */
  objects(): ReadonlyMap<string, KubeObject> {
    if (this.#working !== undefined) {
      this.#objects = this.#working;
      this.#working = undefined;
    }
    return this.#objects;
  }

  /** What was held by an earlier reflector of the same kind, until the first list replaces it. */
  inherit(earlier: Reflector): void {
    this.#objects = earlier.objects();
    this.#isSynced = earlier.#isSynced;
    this.#relist = "NewConnection";
  }

  /** Lists and watches until the signal ends it. Never throws. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        if (this.#relist !== undefined || this.#resourceVersion === undefined) {
          this.#options.events.listing(this.#relist ?? "First");
          await this.#list(signal);
        }
        await this.#watch(this.#resourceVersion ?? "0", signal);
      } catch (error) {
        await this.#rest(error, signal);
      }
    }
  }

  /** After a failure: notes it and waits. An expired version is no failure, but listing it in a row is. */
  async #rest(error: unknown, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const isExpired = error instanceof RefusedError && error.status === 410;
    if (isExpired || error instanceof MalformedLineError) this.#relist = isExpired ? "Expired" : "Malformed";
    if (isExpired && this.#failures === 0) {
      this.#failures = 1;
      return;
    }
    this.#isFailing = true;
    this.#options.events.failed(error, this.#failures);
    const asked = error instanceof UnavailableError ? (error.retryAfterMs ?? 0) : 0;
    const waitMs = Math.max(
      backOffMs(this.#failures, backOff, this.#options.timing.random()),
      Math.min(asked, 60_000),
      error instanceof RefusedError && this.#isLeftOut(error) ? forbiddenPauseMs : 0,
    );
    this.#failures += 1;
    await pause(this.#options.timing, waitMs, signal);
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { kind, reader, mayBeForbidden } = this.#options;
    try {
      if (mayBeForbidden === true && !(await reader.mayList(kind, signal)))
        throw new RefusedError(`the account may not list ${kind.plural}`, { status: 403 });
      const { objects, resourceVersion } = await this.#pages(signal);
      this.#checkAge(resourceVersion);
      this.#replace(objects, resourceVersion);
    } catch (error) {
      if (!this.#isSynced && error instanceof RefusedError && this.#isAllowedToBeAbsent(error)) {
        this.#isSynced = true;
        this.#options.events.changed();
      }
      throw error;
    }
  }

  #isAllowedToBeAbsent(error: RefusedError): boolean {
    return (error.status === 404 && this.#options.isOptional === true) || this.#isLeftOut(error);
  }

  #isLeftOut({ status }: RefusedError): boolean {
    return status === 403 && this.#options.mayBeForbidden === true;
  }

  /** What is kept of the objects of a page; the page itself is given up at once. */
  #read(items: readonly unknown[]): KubeObject[] {
    const { kind, project } = this.#options;
    const objects = items.map((item) => readObject(item, kind)).filter((object) => object !== undefined);
    return project === undefined ? objects : objects.map(project);
  }

  /** All pages, or one page of everything if the first page's version expires before the last page. */
  async #pages(signal: AbortSignal): Promise<{ objects: KubeObject[]; resourceVersion: string }> {
    const { kind, selection, reader, pageSize = defaultPageSize } = this.#options;
    const objects: KubeObject[] = [];
    let bytes = 0;
    let next: string | undefined;
    do {
      try {
        const page = await reader.list(kind, {
          ...selection,
          limit: pageSize,
          signal,
          ...(next !== undefined && { continue: next }),
        });
        const read = this.#read(page.items);
        objects.push(...read);
        bytes += this.#weight.of(read);
        this.#weight.check(objects.length, bytes);
        next = page.continue;
        if (next === undefined) return { objects, resourceVersion: page.resourceVersion };
      } catch (error) {
        if (next === undefined || !(error instanceof RefusedError) || error.status !== 410) throw error;
        const page = await reader.list(kind, { ...selection, signal });
        return { objects: this.#read(page.items), resourceVersion: page.resourceVersion };
      }
    } while (!signal.aborted);
    throw new UnavailableError(`list ${kind.plural} was ended`);
  }

  /** An API server behind a balancer may lag: what was seen already must not be undone by an older list. */
  #checkAge(resourceVersion: string): void {
    const isStale = this.#resourceVersion !== undefined && isOlder(resourceVersion, this.#resourceVersion);
    this.#staleLists = isStale ? this.#staleLists + 1 : 0;
    if (isStale && this.#staleLists <= maxStaleLists) {
      throw new UnavailableError(`list ${this.#options.kind.plural} is older than what was seen`);
    }
  }

  #replace(objects: readonly KubeObject[], resourceVersion: string): void {
    const before = this.objects();
    this.#objects = mergeList(before, objects);
    this.#weight.isHeld(this.#objects);
    this.#resourceVersion = resourceVersion;
    this.#relist = undefined;
    const isFirst = !this.#isSynced;
    this.#isSynced = true;
    if (isFirst || this.#objects !== before) this.#options.events.changed();
  }

  async #watch(resourceVersion: string, signal: AbortSignal): Promise<void> {
    const { kind, selection, reader, timing, events } = this.#options;
    const idle = new IdleTimer(timing, 75_000 + timing.random() * 15_000);
    const startedAt = timing.now();
    const timeoutSeconds = 240 + Math.floor(timing.random() * 240);
    const ended = AbortSignal.any([signal, idle.signal]);
    try {
      const lines = await reader.watch(kind, {
        ...selection,
        resourceVersion,
        timeoutSeconds,
        signal: ended,
      });
      if (this.#isFailing) this.#recover();
      for await (const line of lines) {
        idle.touch();
        const step = readWatchLine(line, kind);
        events.received();
        if (step.type === "Relist") {
          this.#relist = step.reason;
          if (step.reason === "Expired")
            throw new RefusedError("the watch's version expired", { status: 410 });
          throw new UnavailableError(`the watch failed: ${step.reason}`, { retryAfterMs: step.retryAfterMs });
        }
        this.#take(step);
        this.#failures = 0;
      }
      // The server ended it as agreed. If it does so at once and ever again, that is a failure like any other.
      if (timing.now() - startedAt < 1000) throw new UnavailableError(`watch ${kind.plural} ended at once`);
    } finally {
      idle.stop();
      if (timing.now() - startedAt >= healthyWatchMs) this.#failures = 0;
    }
  }

  #take(step: Exclude<WatchStep, { type: "Relist" }>): void {
    this.#resourceVersion = step.resourceVersion;
    if (step.type === "Progress") return;
    if (!this.#weight.takes(this.#working ?? this.#objects, step)) {
      this.#relist = "TooMuch";
      throw this.#weight.tooMuch;
    }
    if (step.type === "Remove") {
      if (!(this.#working ?? this.#objects).has(step.key)) return;
      this.#change().delete(step.key);
    } else {
      const object = this.#options.project?.(step.object) ?? step.object;
      if (isUnchanged((this.#working ?? this.#objects).get(step.key), object)) return;
      this.#change().set(step.key, object);
    }
    this.#options.events.changed();
  }

  #change(): Map<string, KubeObject> {
    this.#working ??= new Map(this.#objects);
    return this.#working;
  }

  #recover(): void {
    this.#isFailing = false;
    this.#options.events.recovered();
  }
}

/** Ends a stream that says nothing for too long: a connection may be half open for ever. */
class IdleTimer {
  readonly #ended = new AbortController();
  readonly #timing: Timing;
  readonly #limitMs: number;
  #lastAt: number;
  #cancel: () => void;

  constructor(timing: Timing, limitMs: number) {
    this.#timing = timing;
    this.#limitMs = limitMs;
    this.#lastAt = timing.now();
    this.#cancel = this.#wait(limitMs);
  }

  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  touch(): void {
    this.#lastAt = this.#timing.now();
  }

  stop(): void {
    this.#cancel();
  }

  #wait(delayMs: number): () => void {
    return this.#timing.after(delayMs, () => {
      const restMs = this.#lastAt + this.#limitMs - this.#timing.now();
      if (restMs <= 0) this.#ended.abort();
      else this.#cancel = this.#wait(restMs);
    });
  }
}
