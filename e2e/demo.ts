/**
 * The demo: three clusters on this machine, two tunnels between them, and the proof that each HTTP route of `payment`
 * takes the tunnel that was asked for. Exits 0 only if every claim held.
 *
 *     npm run demo [-- --json]   once, then everything is torn down
 *     npm start                  the lab stays up to play with; Ctrl-C ends it
 */
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { Lab } from "../src/lab/lab.ts";
import { defaultRunDir, isRunning } from "../src/lab/run-dir.ts";
import type { Evidence } from "./claim.ts";
import { openEnvironment, runDirFor } from "./environment.ts";
import type { Environment } from "./environment.ts";
import { payment, routing } from "./scenarios/payment.ts";

const usage = `Usage: npm run demo [-- --json]
       npm start

  --json   prints the result as JSON on standard output; progress goes to standard error
  --keep   leaves the lab up afterwards until Ctrl-C (what npm start does)
  --help   prints this
`;

interface Outcome {
  readonly title: string;
  readonly held: boolean;
  readonly evidence?: Evidence;
  readonly error?: string;
}

const started = performance.now();
const seconds = (): string => ((performance.now() - started) / 1000).toFixed(1);
const progress = (line: string): void => {
  process.stderr.write(`${seconds().padStart(6)} s  ${line}\n`);
};

async function proveAll(environment: Environment): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const claim of routing) {
    try {
      const evidence = await claim.prove(environment);
      outcomes.push({ title: claim.title, held: true, evidence });
      progress(`held      ${claim.title}  ${JSON.stringify(evidence)}`);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      outcomes.push({ title: claim.title, held: false, error: message });
      progress(`REFUTED   ${claim.title}  ${message}`);
    }
  }
  return outcomes;
}

/** Aborts at the first Ctrl-C or end of the terminal. */
function interruption(): AbortSignal {
  const controller = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(name, () => {
      controller.abort(new Error("interrupted"));
    });
  }
  return controller.signal;
}

async function main(): Promise<number> {
  let options: { json: boolean; keep: boolean; help: boolean };
  try {
    const parsed = parseArgs({
      options: { json: { type: "boolean" }, keep: { type: "boolean" }, help: { type: "boolean" } },
    });
    options = {
      json: parsed.values.json ?? false,
      keep: parsed.values.keep ?? false,
      help: parsed.values.help ?? false,
    };
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${usage}`);
    return 2;
  }
  if (options.help) {
    process.stdout.write(usage);
    return 0;
  }
  const signal = interruption();
  const runDir = options.keep ? defaultRunDir() : runDirFor("demo");
  const environment = await openEnvironment({ progress, runDir, signal });
  try {
    const code = await Promise.race([showAll(environment, options.json), interrupted(signal)]);
    if (!options.keep || signal.aborted) return code;
    progress(`the lab is up: export KUBECONFIG=${environment.lab?.kubeconfig ?? ""}`);
    progress("Ctrl-C ends it");
    return (await outlives(environment.lab, signal)) ? 1 : code;
  } finally {
    progress("ending the lab");
    await environment.close();
  }
}

/** Fulfils with the exit code of an interrupted program. */
function interrupted(signal: AbortSignal): Promise<number> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(130);
    signal.addEventListener("abort", () => {
      resolve(130);
    });
  });
}

async function showAll(environment: Environment, json: boolean): Promise<number> {
  await payment.setUp(environment, progress);
  const outcomes = await proveAll(environment);
  const held = outcomes.filter((outcome) => outcome.held).length;
  const code = held === outcomes.length ? 0 : 1;
  if (json) {
    const result = { held: code === 0, seconds: Number(seconds()), claims: outcomes };
    process.stdout.write(`${JSON.stringify(result, undefined, 2)}\n`);
  }
  progress(`${held} of ${outcomes.length} claims held, ${seconds()} s after the start`);
  return code;
}

/** Waits for Ctrl-C; true if the lab ended before. */
async function outlives(lab: Lab | undefined, signal: AbortSignal): Promise<boolean> {
  while (!signal.aborted) {
    if (lab !== undefined && !isRunning(lab.state.process)) {
      progress("the lab has ended by itself: its logs are in the run folder");
      return true;
    }
    await sleep(200);
  }
  return false;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
