/** Requests from a client Pod, by `mcwan probe` inside it: the load of every claim, bounded in count and time. */
import type { Summary } from "../src/cli/commands/probe-summary.ts";
import type { Environment } from "./environment.ts";
import type { Workload } from "./example.ts";

/** A probe that is under way. */
export interface RunningProbe {
  readonly result: Promise<Summary>;
}

const mcwan = ["node", "/opt/mc-wan/src/cli/main.ts"];

/** Runs a probe to its end. `args` are those of `mcwan probe`. */
export async function probe(
  environment: Environment,
  client: Workload,
  args: readonly string[],
): Promise<Summary> {
  const output = await environment.kubectl.attempt(client.cluster.context, execArgs(client, args));
  return parseResult(output.stdout, output.stderr);
}

/** Starts a probe that runs while the scenario changes things. */
export function startProbe(
  environment: Environment,
  client: Workload,
  args: readonly string[],
): RunningProbe {
  const output = environment.kubectl.attempt(client.cluster.context, execArgs(client, args));
  return { result: output.then(({ stdout, stderr }) => parseResult(stdout, stderr)) };
}

function execArgs(client: Workload, args: readonly string[]): string[] {
  return [
    "exec",
    "-n",
    client.namespace,
    `deployment/${client.deployment}`,
    "--",
    ...mcwan,
    "probe",
    "-o",
    "json",
    ...args,
  ];
}

function parseResult(stdout: string, stderr: string): Summary {
  try {
    return JSON.parse(stdout) as Summary;
  } catch (cause) {
    throw new Error(`the probe printed no result: ${stderr.slice(-500)}`, { cause });
  }
}

/** How many requests ended otherwise than with one of these statuses. */
export function failedRequests(result: Summary, expected: readonly number[] = [200]): number {
  const good = expected.reduce((sum, status) => sum + (result.statuses[String(status)] ?? 0), 0);
  return result.requests - good;
}

/** What a load of many probes came to. */
export interface LoadResult {
  readonly seconds: number;
  readonly requests: number;
  readonly failed: number;
  /** What failed, and when. */
  readonly seen: readonly string[];
  /** Answers by `x-served-by`. */
  readonly servedBy: Readonly<Record<string, number>>;
}

/** How long one probe of a {@link Load} lasts, and how long before its end the next one is started. */
const probeMs = 10_000;
const overlapMs = 3_000;

/** Requests at a steady rate for as long as something takes: probe after probe, each started before the last one ends. */
export class Load {
  readonly #startMs = performance.now();
  readonly #probes: Promise<Summary>[] = [];
  #timer: NodeJS.Timeout | undefined;

  /** `args` are those of `mcwan probe`, without a duration. */
  constructor(environment: Environment, client: Workload, args: readonly string[]) {
    const start = (): void => {
      const { result } = startProbe(environment, client, [...args, "--duration", `${probeMs}ms`]);
      // Told at the end.
      result.catch(() => undefined);
      this.#probes.push(result);
      this.#timer = setTimeout(start, probeMs - overlapMs);
    };
    start();
  }

  /** Starts no further probe; fulfils when those under way have ended. */
  async end(): Promise<LoadResult> {
    clearTimeout(this.#timer);
    const results = await Promise.all(this.#probes);
    const servedBy: Record<string, number> = {};
    for (const result of results)
      for (const [by, count] of Object.entries(result.servedBy)) servedBy[by] = (servedBy[by] ?? 0) + count;
    const failing = results.filter((result) => failedRequests(result) > 0);
    return {
      seconds: Math.round((performance.now() - this.#startMs) / 1000),
      requests: results.reduce((sum, { requests }) => sum + requests, 0),
      failed: failing.reduce((sum, result) => sum + failedRequests(result), 0),
      seen: failing.map(({ startedAt, failures }) => `${startedAt} ${JSON.stringify(failures)}`),
      servedBy,
    };
  }
}
