/** A log that keeps its lines instead of writing them, and metrics that keep sums. */
import type { Log, LogFields } from "../src/model/log.ts";
import type { Metrics } from "../src/model/metrics.ts";

export interface KeptLog extends Log {
  /** `level message` and fields, oldest first. */
  readonly lines: { readonly text: string; readonly fields: LogFields }[];
}

export function keptLog(lines: KeptLog["lines"] = [], own: LogFields = {}): KeptLog {
  const write =
    (level: string) =>
    (message: string, fields: LogFields = {}) => {
      lines.push({ text: `${level} ${message}`, fields: { ...own, ...fields } });
    };
  return {
    lines,
    debug: write("debug"),
    info: write("info"),
    warn: write("warn"),
    error: write("error"),
    child: (fields) => keptLog(lines, { ...own, ...fields }),
  };
}

export interface KeptMetrics extends Metrics {
  /** Sum of a counter over the label sets that hold all of `labels`. */
  total(name: string, labels?: Readonly<Record<string, string>>): number;
}

export function keptMetrics(): KeptMetrics {
  const counted: { name: string; labels: Readonly<Record<string, string>> }[] = [];
  return {
    increment: (name, labels) => counted.push({ name, labels }),
    set: () => undefined,
    forget: () => undefined,
    observe: () => undefined,
    total: (name, labels = {}) =>
      counted.filter(
        (entry) =>
          entry.name === name && Object.entries(labels).every(([key, value]) => entry.labels[key] === value),
      ).length,
  };
}
