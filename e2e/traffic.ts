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
