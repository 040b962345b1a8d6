/**
 * The last stage: makes the home cluster what Desired says, and keeps it so.
 *
 *     World, Desired, statuses → plan → WriteQueue → the home cluster
 *
 * Writes only while this replica leads, asked before each write; only what differs; and nobody else's objects. What it
 * knows of earlier writes is memory that may be lost: a restart with the same input writes nothing.
 */
import { RefusedError, UnavailableError } from "../model/errors.ts";
import type { ObjectKey } from "../model/desired.ts";
import { kinds } from "../model/kinds.ts";
import type { KindName } from "../model/kinds.ts";
import { keyOf } from "../model/kube-object.ts";
import type { KubeObject } from "../model/kube-object.ts";
import type { Log } from "../model/log.ts";
import type { Metrics } from "../model/metrics.ts";
import type { Problem } from "../model/problem.ts";
import type { Timing } from "../model/timing.ts";
import type { KubeWriter } from "./kube-writer.ts";
import { foreignProblem, hasUnknownPeers } from "./diff.ts";
import { EventLimit, eventKind, eventObject, notesFor } from "./events.ts";
import { isOurs } from "./own-fields.ts";
import { Planner } from "./planner.ts";
import type { ApplyInput, ObjectWrite, PlannedWrite, StatusWrite } from "./planner.ts";
import { conditionsOf, parentConditionsOf } from "./status.ts";
import { WriteQueue } from "./write-queue.ts";

export interface ApplierOptions {
  readonly writer: KubeWriter;
  readonly timing: Timing;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Whether this replica may write, at this very moment. */
  readonly mayWrite: () => boolean;
  /** How many writes run at once. */
  readonly concurrency?: number;
  /** Name of this replica, for Events. */
  readonly instance: string;
}

export class Applier {
  readonly #options: ApplierOptions;
  readonly #queue: WriteQueue<PlannedWrite>;
  readonly #planner = new Planner();
  readonly #eventLimit = new EventLimit();
  readonly #contested = new Set<string>();
  #foreign: ReadonlyMap<ObjectKey, Problem> = new Map();
  #input: ApplyInput | undefined;
  #cancelPlan: (() => void) | undefined;
  #wasPartial = false;
  #withheld = 0;

  constructor(options: ApplierOptions) {
    this.#options = options;
    this.#queue = new WriteQueue({
      concurrency: options.concurrency ?? 16,
      timing: options.timing,
      write: (key, item) => this.#write(key, item),
      failed: (key, error, failures) => {
        this.#failed(key, error, failures);
      },
      overtaken: () => {
        this.#planSoon();
      },
      contested: (key, flips) => {
        if (this.#contested.has(key)) return;
        this.#contested.add(key);
        options.log.warn("somebody else keeps changing an object of ours", { object: key, flips });
      },
    });
  }

  /** Takes the newest input. Cheap where little changed. */
  update(input: ApplyInput): void {
    this.#input = input;
    this.#plan();
  }

  /** Another replica leads: what was to be written is forgotten, and what it was planned from, which grows old. */
  leadershipLost(): void {
    this.#input = undefined;
    this.#queue.set(new Map());
  }

  /** Objects that are in the way of ours. */
  get foreign(): ReadonlyMap<ObjectKey, Problem> {
    return this.#foreign;
  }

  /** Objects that nothing wants, and that stay while a peer is unknown. */
  get withheld(): number {
    return this.#withheld;
  }

  /** How many writes wait or run, or wait to be seen. */
  get waiting(): number {
    return this.#queue.size;
  }

  async stop(): Promise<void> {
    this.#cancelPlan?.();
    await this.#queue.stop();
  }

  #plan(): void {
    if (this.#input === undefined) return;
    if (!this.#options.mayWrite()) {
      this.#queue.set(new Map());
      return;
    }
    const isPartial = hasUnknownPeers(this.#input.world);
    if (isPartial && !this.#wasPartial)
      this.#options.log.info("a peer is unknown: what may be its is not deleted");
    this.#wasPartial = isPartial;
    const nowIso = new Date(this.#options.timing.today()).toISOString().replace(/\.\d+Z/, "Z");
    const { writes, foreign, withheld } = this.#planner.plan(this.#input, nowIso);
    for (const [key, problem] of foreign) {
      if (!this.#foreign.has(key))
        this.#options.log.warn("object of somebody else is in the way", { object: key, problem });
    }
    this.#foreign = foreign;
    this.#queue.set(writes);
    this.#withheld = withheld;
    this.#options.metrics.set("mcwan_writes_waiting", {}, this.#queue.size);
    this.#options.metrics.set("mcwan_deletions_withheld", {}, withheld);
  }

  async #write(key: string, item: PlannedWrite): Promise<void> {
    if (!this.#options.mayWrite()) throw new UnavailableError("this replica does not lead");
    const { metrics, timing } = this.#options;
    const verb = item.type === "Object" ? item.change.verb : "Status";
    const labels = { kind: item.kind, verb };
    const startedMs = timing.now();
    try {
      if (item.type === "Status") await this.#writeStatus(key, item);
      else await this.#writeObject(key, item);
      metrics.increment("mcwan_writes_total", { ...labels, outcome: "done" });
      this.#options.log.debug("wrote", { object: key, verb });
    } catch (error) {
      metrics.increment("mcwan_writes_total", { ...labels, outcome: "failed" });
      throw error;
    } finally {
      metrics.observe("mcwan_write_duration_seconds", { verb }, (timing.now() - startedMs) / 1000);
    }
  }

  async #writeObject(key: ObjectKey, { kind, change, intent, base }: ObjectWrite): Promise<void> {
    const { writer } = this.#options;
    const { metadata } = change.object;
    if (change.verb === "Delete") {
      const { uid = "", resourceVersion } = metadata;
      await writer.delete(kinds[kind], metadata, {
        uid,
        ...(resourceVersion !== undefined && { resourceVersion }),
      });
      return;
    }
    if (change.mustLook) await this.#look(kind, change.object);
    this.#wrote(key, { intent, base }, await writer.apply(kinds[kind], change.object));
  }

  /** Notes what a write left. If that was nothing new, no World will come of it: plans again. */
  #wrote(key: string, { intent, base }: Pick<PlannedWrite, "intent" | "base">, written: KubeObject): void {
    this.#planner.wrote(key, intent, written);
    if (written.metadata.resourceVersion === base) this.#planSoon();
  }

  #planSoon(): void {
    this.#cancelPlan ??= this.#options.timing.after(0, () => {
      this.#cancelPlan = undefined;
      this.#plan();
    });
  }

  /** The World doesn't show foreign objects of some kinds. */
  async #look(kind: KindName, object: KubeObject): Promise<void> {
    const standing = await this.#options.writer.get(kinds[kind], object.metadata);
    if (standing === undefined || isOurs(standing)) return;
    throw new RefusedError(foreignProblem(kind, object).message);
  }

  async #writeStatus(key: string, item: StatusWrite): Promise<void> {
    const { writer } = this.#options;
    const kind = kinds[item.kind];
    const isApply = item.form === "Apply";
    const written = await (isApply
      ? writer.applyStatus(kind, item.object)
      : writer.mergeStatus(kind, item.object));
    this.#wrote(key, item, written);
    const before = isApply ? conditionsOf(item.observed) : parentConditionsOf(item.observed);
    const after = isApply ? conditionsOf(item.object) : parentConditionsOf(item.object);
    for (const note of notesFor(before, after)) {
      if (!this.#eventLimit.allows(item.observed, note, this.#options.timing.now())) continue;
      const nowIso = new Date(this.#options.timing.today()).toISOString();
      const event = eventObject(item.observed, note, { nowIso, instance: this.#options.instance });
      writer.create(eventKind, event).catch((error: unknown) => {
        this.#options.log.debug("event was not written", { object: keyOf(item.observed.metadata), error });
      });
    }
  }

  #failed(key: string, error: unknown, failures: number): void {
    const isExpected = error instanceof UnavailableError || error instanceof RefusedError;
    const { log } = this.#options;
    if (!isExpected) log.error("write failed by a bug", { object: key, error });
    // The next World settles a race (409); what goes on failing is told once.
    else if (failures === (error.status === 409 ? 3 : 0) && this.#options.mayWrite()) {
      log.warn("write failed", { object: key, error });
    } else log.debug("write failed again", { object: key, error, failures });
  }
}
