/** What a benchmark gives: figures with units in their names, against targets where there are some. Never asserts. */

/** One figure. `target` is the most that it should be. */
export interface Figure {
  /** With its unit: `p50, ms`. */
  readonly name: string;
  readonly value: number;
  readonly target?: number;
}

/** What one benchmark has measured. */
export interface Measurement {
  readonly benchmark: string;
  /** What was measured, in a sentence. */
  readonly title: string;
  readonly figures: readonly Figure[];
  /** What has to be known to read the figures: sizes, how many, what went wrong on the way. */
  readonly notes: readonly string[];
}

/** What every benchmark is given. */
export interface BenchContext {
  /** For a person who waits. */
  readonly progress: (line: string) => void;
  /** Ends the benchmark early. */
  readonly signal: AbortSignal;
  /** A tenth of the size and the time: to try the benchmark itself. */
  readonly quick: boolean;
}

/** Quantile by the nearest rank, `q` from 0 to 1; NaN of nothing. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1))] ?? Number.NaN;
}

/** p50, p90, p99 and the largest. `prefix` goes before each name. */
export function distribution(
  values: readonly number[],
  unit: string,
  { prefix = "", target }: { readonly prefix?: string; readonly target?: number | undefined } = {},
): Figure[] {
  const figure = (name: string, value: number): Figure => ({
    name: `${prefix}${name}, ${unit}`,
    value: rounded(value),
  });
  const p50 = figure("p50", quantile(values, 0.5));
  return [
    target === undefined ? p50 : { ...p50, target },
    figure("p90", quantile(values, 0.9)),
    figure("p99", quantile(values, 0.99)),
    figure("max", quantile(values, 1)),
  ];
}

/** Two digits after the point, none for large numbers. */
export function rounded(value: number): number {
  const factor = Math.abs(value) < 100 ? 100 : 1;
  return Math.round(value * factor) / factor;
}

/** For a terminal. */
export function measurementText({ benchmark, title, figures, notes }: Measurement): string {
  const width = Math.max(0, ...figures.map(({ name }) => name.length));
  const lines = figures.map(({ name, value, target }) => {
    const verdict =
      target === undefined ? "" : `   ${value <= target ? "met:" : "MISSED:"} at most ${target}`;
    return `  ${name.padEnd(width)}  ${String(value).padStart(9)}${verdict}`;
  });
  return [`${benchmark}: ${title}`, ...lines, ...notes.map((note) => `  (${note})`), ""].join("\n");
}
