/** The metrics of `model/metrics.ts` in a prom-client registry, and those of the process and its event loop. */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from "prom-client";
import { metrics as table } from "../../model/metrics.ts";
import type { MetricInfo, Metrics } from "../../model/metrics.ts";

/** Seconds; from a pass over nothing to a stuck API server. */
const buckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Metrics that can be read. */
export interface PrometheusMetrics extends Metrics {
  readonly contentType: string;
  /** The text format. */
  text(): Promise<string>;
}

/** A registry of its own: two controllers in one process don't mix. */
export function prometheusMetrics(): PrometheusMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const counters = new Map<string, Counter>();
  const gauges = new Map<string, Gauge>();
  const histograms = new Map<string, Histogram>();
  for (const [name, info] of Object.entries<MetricInfo>(table)) {
    const config = { name, help: info.help, labelNames: [...info.labels], registers: [registry] };
    if (info.type === "counter") counters.set(name, new Counter(config));
    else if (info.type === "gauge") gauges.set(name, new Gauge(config));
    else histograms.set(name, new Histogram({ ...config, buckets }));
  }
  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    increment: (name, labels) => counters.get(name)?.inc(labels),
    set: (name, labels, value) => gauges.get(name)?.set(labels, value),
    forget: (name, labels) => gauges.get(name)?.remove(labels),
    observe: (name, labels, seconds) => histograms.get(name)?.observe(labels, seconds),
  };
}
