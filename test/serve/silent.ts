/** A log and metrics that nobody reads. */
import type { Log } from "../../src/model/log.ts";
import type { Metrics } from "../../src/model/metrics.ts";

/** Says nothing. */
export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLog,
};

/** Counts nothing. */
export const silentMetrics: Metrics = {
  increment: () => undefined,
  set: () => undefined,
  forget: () => undefined,
  observe: () => undefined,
};
