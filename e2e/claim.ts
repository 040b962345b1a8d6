/** A claim: one sentence about mc-wan, and how it is proved on real clusters. The demo and the tests prove the same ones. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Environment } from "./environment.ts";

/** Figures that a proof has seen, for people and for `--json`. */
export type Evidence = Readonly<Record<string, unknown>>;

export interface Claim {
  /** A sentence. */
  readonly title: string;
  /** Needs the lab's link counters: skipped on clusters that are not the lab's. */
  readonly needsLab?: boolean;
  /** Gives what was seen; throws {@link Refuted} where the claim does not hold. */
  readonly prove: (environment: Environment) => Promise<Evidence>;
}

/** Claims about the same objects, in order. */
export interface Scenario {
  readonly title: string;
  readonly setUp: (environment: Environment, progress: (line: string) => void) => Promise<void>;
  readonly claims: readonly Claim[];
  readonly tearDown: (environment: Environment) => Promise<void>;
}

/** A claim does not hold: what was seen instead. */
class Refuted extends Error {
  override readonly name = "Refuted";
  readonly evidence: Evidence;
  constructor(message: string, evidence: Evidence) {
    super(`${message}: ${JSON.stringify(evidence)}`);
    this.evidence = evidence;
  }
}

/** Throws {@link Refuted} unless the condition holds. */
export function must(condition: boolean, message: string, evidence: Evidence): asserts condition {
  if (!condition) throw new Refuted(message, evidence);
}

/** Asks again until an answer is there (not undefined); fails with `what` after the time-out. */
export async function eventually<T>(
  what: string,
  timeoutMs: number,
  ask: () => Promise<T | undefined>,
): Promise<{ readonly value: T; readonly afterMs: number }> {
  const start = performance.now();
  let last: unknown;
  do {
    try {
      const value = await ask();
      if (value !== undefined) return { value, afterMs: Math.round(performance.now() - start) };
    } catch (error) {
      last = error;
    }
    await sleep(50);
  } while (performance.now() - start < timeoutMs);
  throw new Refuted(`${what} did not happen within ${timeoutMs} ms`, {
    last: last instanceof Error ? last.message : last,
  });
}
