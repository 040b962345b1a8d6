/**
 * `npm run bench`: measures, prints, and asserts nothing. Ends what it started, also when it fails or is interrupted.
 *
 *     names → labs as they are needed → measurements → text or JSON
 */
import { cpus } from "node:os";
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { openLab } from "./cluster.ts";
import type { BenchLab } from "./cluster.ts";
import { peers, scale } from "./cluster-set.ts";
import { envoy } from "./envoy.ts";
import { envoyGateway } from "./envoy-gateway.ts";
import { exports } from "./exports.ts";
import { faults } from "./faults.ts";
import { idle } from "./idle.ts";
import { measurementText } from "./measurement.ts";
import type { BenchContext, Measurement } from "./measurement.ts";
import { passes } from "./passes.ts";
import { routes } from "./routes.ts";
import { start } from "./start.ts";
import { unready } from "./unready.ts";

type Run = (context: BenchContext) => Promise<readonly Measurement[]>;

/** One benchmark, or several that share a lab. */
interface Group {
  readonly names: readonly string[];
  readonly run: (context: BenchContext, names: ReadonlySet<string>) => Promise<readonly Measurement[]>;
  /** The longest that it may take. */
  readonly minutes: number;
  /** Only run when it is named: it takes long, or needs a program that takes long to build. */
  readonly onlyWhenNamed?: boolean;
}

const alone = (name: string, minutes: number, run: Run): Group => ({
  names: [name],
  minutes,
  run: (context) => run(context),
});

const groups: readonly Group[] = [
  alone("passes", 5, async (context) => [await passes(context)]),
  alone("envoy", 5, async (context) => [await envoy(context)]),
  alone("start", 6, async (context) => [await start(context)]),
  {
    names: ["routes", "memory"],
    minutes: 12,
    run: async (context, names) => {
      const measured = await inLab(["c1"], context, async (lab) => await routes(lab, context));
      return measured.filter(({ benchmark }) => names.has(benchmark));
    },
  },
  {
    names: ["export", "idle"],
    minutes: 12,
    run: async (context, names) =>
      await inLab(["c1", "c2", "c3"], context, async (lab) => [
        // Idle clusters that have something to be idle with.
        ...[await exports(lab, context)].filter(() => names.has("export")),
        ...(names.has("idle") ? [await idle(lab, context)] : []),
      ]),
  },
  {
    names: ["faults"],
    minutes: 60,
    onlyWhenNamed: true,
    run: async (context) =>
      await inLab(["c1", "c2", "c3"], context, async (lab) => await faults(lab, context)),
  },
  {
    names: ["unready"],
    minutes: 30,
    onlyWhenNamed: true,
    run: async (context) =>
      await inLab(["c1", "c2", "c3"], context, async (lab) => await unready(lab, context)),
  },
  { ...alone("peers", 20, async (context) => [await peers(context)]), onlyWhenNamed: true },
  { ...alone("scale", 20, async (context) => [await scale(context)]), onlyWhenNamed: true },
  {
    names: ["envoy-gateway"],
    minutes: 40,
    onlyWhenNamed: true,
    run: async (context) => await envoyGateway(context),
  },
];
const allNames = groups.flatMap(({ names }) => names);
const usualNames = groups.flatMap(({ names, onlyWhenNamed }) => (onlyWhenNamed === true ? [] : names));

const usage = `Usage: npm run bench [-- options]

Measures mc-wan on this machine and prints the figures beside their targets. Nothing is asserted: the exit code
is 0 when everything asked for was measured, 1 when a benchmark failed, 2 for wrong usage, 130 after Ctrl-C.

  --only <name>   only this benchmark; may be repeated: ${allNames.join(", ")}
                  (faults, unready, peers, scale and envoy-gateway run only when they are named: they take long)
  --quick         a tenth of the size: to try the benchmarks themselves
  --json          the result as JSON on standard output; progress goes to standard error
  --help          prints this
`;

async function inLab<T>(
  ids: readonly string[],
  context: BenchContext,
  use: (lab: BenchLab) => Promise<T>,
): Promise<T> {
  const lab = await openLab(ids, context);
  try {
    return await use(lab);
  } finally {
    context.progress("ends the lab");
    await lab.close();
  }
}

interface Options {
  readonly only: ReadonlySet<string>;
  readonly quick: boolean;
  readonly json: boolean;
  readonly help: boolean;
}

function optionsOf(args: readonly string[]): Options {
  const flag = { type: "boolean", default: false } as const;
  const { values } = parseArgs({
    args: [...args],
    options: { only: { type: "string", multiple: true, default: [] }, quick: flag, json: flag, help: flag },
  });
  const unknown = values.only.filter((name) => !allNames.includes(name));
  if (unknown.length > 0) throw new Error(`there is no benchmark ${unknown.join(", ")}`);
  return { ...values, only: new Set(values.only.length === 0 ? usualNames : values.only) };
}

interface Failure {
  readonly benchmark: string;
  readonly error: string;
}

/** Runs the group within its time; a failure is a result too. */
async function runGroup(
  group: Group,
  context: BenchContext,
  only: ReadonlySet<string>,
): Promise<readonly (Measurement | Failure)[]> {
  const limit = AbortSignal.timeout(group.minutes * 60_000);
  const loadBefore = loadAverage();
  try {
    const measured = await group.run({ ...context, signal: AbortSignal.any([context.signal, limit]) }, only);
    const note = `load average of the last minute: ${loadBefore} before, ${loadAverage()} after`;
    return measured.map((each) => ({ ...each, notes: [...each.notes, note] }));
  } catch (error) {
    const reason = limit.aborted
      ? `not done within ${group.minutes} minutes`
      : error instanceof Error
        ? error.message
        : String(error);
    return group.names.filter((name) => only.has(name)).map((benchmark) => ({ benchmark, error: reason }));
  }
}

/** Runnable processes, of the last minute. */
function loadAverage(): number {
  return Number(readFileSync("/proc/loadavg", "utf8").split(" ")[0]);
}

async function main(): Promise<number> {
  let options: Options;
  try {
    options = optionsOf(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${usage}`);
    return 2;
  }
  if (options.help) {
    process.stdout.write(usage);
    return 0;
  }
  const began = performance.now();
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.once(signal, () => {
      stop.abort(new Error("interrupted"));
    });
  const progress = (line: string): void => {
    process.stderr.write(`${((performance.now() - began) / 1000).toFixed(1).padStart(7)} s  ${line}\n`);
  };
  const context = { progress, signal: stop.signal, quick: options.quick };
  const results: (Measurement | Failure)[] = [];
  for (const group of groups) {
    if (!group.names.some((name) => options.only.has(name)) || stop.signal.aborted) continue;
    const found = await runGroup(group, context, options.only);
    results.push(...found);
    if (!options.json) for (const each of found) process.stdout.write(`${textOf(each)}\n`);
  }
  if (options.json) {
    const [cpu] = cpus();
    const machine = { cpus: cpus().length, model: cpu?.model ?? "unknown", node: process.version };
    process.stdout.write(
      `${JSON.stringify({ at: new Date().toISOString(), machine, quick: options.quick, results }, undefined, 2)}\n`,
    );
  }
  if (stop.signal.aborted) return 130;
  return results.some((each) => "error" in each) ? 1 : 0;
}

function textOf(each: Measurement | Failure): string {
  return "error" in each ? `${each.benchmark}: FAILED: ${each.error}\n` : measurementText(each);
}

process.exitCode = await main();
