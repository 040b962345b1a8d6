/** A stage that may have a bug: it is logged once and counted, and the stage's last good output stays in force. */
import type { Log } from "../model/log.ts";
import type { Metrics } from "../model/metrics.ts";
import type { Timing } from "../model/timing.ts";

/** What a stage is watched with. */
export interface StageContext {
  /** Its name in logs and metrics. */
  readonly stage: string;
  readonly timing: Timing;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** A stage, and what it last gave. */
export class LastGood<Input extends readonly unknown[], Output> {
  readonly #context: StageContext;
  readonly #stage: (...input: Input) => Output;
  #output: Output | undefined;
  #told: string | undefined;

  constructor(context: StageContext, stage: (...input: Input) => Output) {
    this.#context = context;
    this.#stage = stage;
  }

  /** The stage's output, or the one before if it fails; undefined if it never had one. */
  run(...input: Input): Output | undefined {
    const { stage, timing, log, metrics } = this.#context;
    const startedMs = timing.now();
    try {
      this.#output = this.#stage(...input);
      this.#told = undefined;
    } catch (error) {
      metrics.increment("mcwan_stage_failures_total", { stage });
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      if (text !== this.#told) log.error("stage failed, its last good output stays in force", { error });
      this.#told = text;
    }
    metrics.observe("mcwan_stage_duration_seconds", { stage }, (timing.now() - startedMs) / 1000);
    return this.#output;
  }
}
