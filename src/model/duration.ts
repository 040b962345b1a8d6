/** Durations as Gateway API writes them (GEP-2257). */

const unitMs: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };

/** Milliseconds of `1h30m`, `500ms` and the like; undefined if it isn't a duration. */
export function durationMs(text: string): number | undefined {
  if (!/^(?:\d{1,5}(?:h|ms|m|s)){1,4}$/.test(text)) return undefined;
  let sum = 0;
  for (const [, digits, unit] of text.matchAll(/(\d+)(h|ms|m|s)/g))
    sum += Number(digits) * (unitMs[unit ?? ""] ?? 0);
  return sum;
}
