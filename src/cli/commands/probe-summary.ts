/**
 * What `mcwan probe` has seen: counted as it goes, in bounded memory, and printed at the end. Never sends anything.
 */
import { createHistogram } from "node:perf_hooks";
import type { RecordableHistogram } from "node:perf_hooks";

/** How one request ended. */
export type Outcome = {
  /** Milliseconds since the run began. */
  readonly atMs: number;
  readonly latencyMs: number;
  /** Bytes of the answer's body that arrived. */
  readonly bytes: number;
} & (
  | { readonly form: "Answered"; readonly status: number; readonly servedBy: string | undefined }
  | { readonly form: "Failed"; readonly reason: string }
);

/** Requests that went wrong in one way. */
interface Failure {
  readonly count: number;
  readonly firstMs: number;
  readonly lastMs: number;
  /** When each happened, in milliseconds since the run began: the first hundred. */
  readonly offsetsMs: readonly number[];
}

/** A run, as `-o json` prints it. */
export interface Summary {
  readonly url: string;
  /** RFC 3339. */
  readonly startedAt: string;
  readonly endedAt: string;
  readonly durationMs: number;
  readonly requests: number;
  /** Answered in full with a status below 400. */
  readonly ok: number;
  readonly statuses: Readonly<Record<string, number>>;
  /** By reason: `status 503`, `ECONNREFUSED`, `timeout`. Statuses from 400 on are in here and in `statuses`. */
  readonly failures: Readonly<Record<string, Failure>>;
  /** By the value of `x-served-by`. */
  readonly servedBy: Readonly<Record<string, number>>;
  /** By the part of `x-served-by` before the slash. */
  readonly clusters: Readonly<Record<string, number>>;
  readonly bytes: number;
  /** Of answered requests, from the request's first byte to the answer's last. */
  readonly latencyMs: {
    readonly p50: number;
    readonly p90: number;
    readonly p99: number;
    readonly max: number;
  };
  /** Requests that could not be sent at their time, because all that may be under way at once were. */
  readonly late: number;
}

const maxOffsets = 100;

interface OpenFailure {
  count: number;
  readonly firstMs: number;
  lastMs: number;
  readonly offsetsMs: number[];
}

/** Counts outcomes. */
export class ProbeRecord {
  late = 0;
  #requests = 0;
  #ok = 0;
  #bytes = 0;
  readonly #statuses = new Map<string, number>();
  readonly #servedBy = new Map<string, number>();
  readonly #failures = new Map<string, OpenFailure>();
  /** In microseconds; three significant figures, up to an hour. */
  readonly #latency: RecordableHistogram = createHistogram({ lowest: 1, highest: 3_600_000_000, figures: 3 });

  add(outcome: Outcome): void {
    this.#requests += 1;
    this.#bytes += outcome.bytes;
    if (outcome.form === "Failed") {
      this.#fail(outcome.reason, outcome.atMs);
      return;
    }
    this.#latency.record(Math.max(1, Math.round(outcome.latencyMs * 1000)));
    increment(this.#statuses, String(outcome.status));
    if (outcome.servedBy !== undefined) increment(this.#servedBy, outcome.servedBy);
    if (outcome.status < 400) this.#ok += 1;
    else this.#fail(`status ${outcome.status}`, outcome.atMs);
  }

  #fail(reason: string, atMs: number): void {
    const known = this.#failures.get(reason);
    if (known === undefined) {
      this.#failures.set(reason, { count: 1, firstMs: atMs, lastMs: atMs, offsetsMs: [Math.round(atMs)] });
      return;
    }
    known.count += 1;
    known.lastMs = atMs;
    if (known.offsetsMs.length < maxOffsets) known.offsetsMs.push(Math.round(atMs));
  }

  summary(run: { readonly url: string; readonly startedAt: Date; readonly durationMs: number }): Summary {
    const clusters = new Map<string, number>();
    for (const [name, count] of this.#servedBy) increment(clusters, name.split("/", 1)[0] ?? name, count);
    const failures = [...this.#failures].map(([reason, failure]): [string, Failure] => [
      reason,
      { ...failure, firstMs: Math.round(failure.firstMs), lastMs: Math.round(failure.lastMs) },
    ]);
    const percentile = (percent: number): number =>
      this.#latency.count === 0 ? 0 : this.#latency.percentile(percent) / 1000;
    return {
      url: run.url,
      startedAt: run.startedAt.toISOString(),
      endedAt: new Date(run.startedAt.getTime() + run.durationMs).toISOString(),
      durationMs: Math.round(run.durationMs),
      requests: this.#requests,
      ok: this.#ok,
      statuses: sorted(this.#statuses),
      failures: sorted(new Map(failures)),
      servedBy: sorted(this.#servedBy),
      clusters: sorted(clusters),
      bytes: this.#bytes,
      latencyMs: { p50: percentile(50), p90: percentile(90), p99: percentile(99), max: percentile(100) },
      late: this.late,
    };
  }
}

function increment(counts: Map<string, number>, key: string, by = 1): void {
  counts.set(key, (counts.get(key) ?? 0) + by);
}

function sorted<T>(map: ReadonlyMap<string, T>): Record<string, T> {
  return Object.fromEntries([...map].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The summary for a person. */
export function summaryText(summary: Summary): string {
  const { latencyMs } = summary;
  const counts = (record: Readonly<Record<string, number>>): string =>
    Object.entries(record)
      .map(([name, count]) => `${name}: ${count}`)
      .join(", ") || "none";
  const failures = Object.entries(summary.failures).map(
    ([reason, { count, firstMs, lastMs }]) => `  ${reason}: ${count}, from ${firstMs} to ${lastMs} ms`,
  );
  return [
    `${summary.url}: ${summary.requests} requests in ${(summary.durationMs / 1000).toFixed(2)} s, ${summary.ok} good, ${summary.bytes} bytes`,
    `statuses: ${counts(summary.statuses)}`,
    `clusters: ${counts(summary.clusters)}`,
    `served by: ${counts(summary.servedBy)}`,
    `latency in ms: p50 ${latencyMs.p50}, p90 ${latencyMs.p90}, p99 ${latencyMs.p99}, max ${latencyMs.max}`,
    ...(summary.late > 0 ? [`sent late: ${summary.late}`] : []),
    failures.length === 0 ? "failures: none" : `failures:\n${failures.join("\n")}`,
    "",
  ].join("\n");
}
