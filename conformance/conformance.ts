/**
 * The official Gateway API conformance suite against mc-wan: a real kube-apiserver, real Envoys, the suite as it is published.
 * Exits 0 only if every test that was to run passed.
 *
 *     npm run conformance                        all of it, in a lab of one cluster; the report goes to docs/conformance
 *     MCWAN_LAB=<run folder> npm run conformance -- --only HTTPRouteMatching
 */
import { mkdir, readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { tmpdir, userInfo } from "node:os";
import { parseArgs } from "node:util";
import { conformanceBinaryNames, obtainBinaries } from "../src/lab/binaries/binaries.ts";
import { GATEWAY_API_VERSION } from "../src/lab/binaries/versions.ts";
import { UsageError } from "../src/model/errors.ts";
import type { Kubectl } from "../src/lab/kubectl.ts";
import { gatewayClassName } from "../src/model/names.ts";
import { applyChannel, channels, declaredFeatures, experimentalFeatures, type Channel } from "./channel.ts";
import { openConformanceLab } from "./lab.ts";
import { runSuite, type SuiteResult, allProfiles } from "./suite.ts";
import type { TestResult } from "./suite-output.ts";

const repository = join(import.meta.dirname, "..");

const usage = `Usage: npm run conformance [-- <options>]

Runs the Gateway API conformance suite v${GATEWAY_API_VERSION} against mc-wan, in a lab of one cluster that ends with it.
With MCWAN_LAB=<run folder> it runs in the first cluster of a lab that is up, and what it deploys stays for the next run.

  --only <test>…         only these tests, by the suite's short names, and whatever features the GatewayClass says
  --profile <profile>…   only these profiles: ${allProfiles.join(", ")} (default: all)
  --channel <channel>    CRDs of Gateway API: standard (default), or experimental with the features that need its fields
  --report <file>        where the report goes (default: docs/conformance; of a part: nowhere)
  --timeouts <list>      other waits than the suite's own, in its words: "NamespacesMustBeReady:20;MaxTimeToConsistency:5"
  --log <file>           where all that the suite prints goes (default: in the temporary folder)
  --json                 prints the result as JSON on standard output; progress goes to standard error
  --help                 prints this

Exit codes: 0 all passed, 1 a test or the set-up failed, 2 it could not be run as asked.
`;

interface Options {
  readonly only: readonly string[];
  readonly profiles: readonly string[];
  readonly channel: Channel;
  /** Undefined: no report is written. */
  readonly report: string | undefined;
  readonly log: string;
  readonly timeouts: string;
  readonly json: boolean;
}

const started = performance.now();
const seconds = (): string => ((performance.now() - started) / 1000).toFixed(1);
const progress = (line: string): void => {
  process.stderr.write(`${seconds().padStart(6)} s  ${line}\n`);
};

/** The options; undefined when only help was asked for. @throws UsageError */
function readOptions(words: readonly string[], version: string): Options | undefined {
  const { values, positionals } = parse(words);
  if (values.help === true) return undefined;
  const only = [...(values.only ?? []), ...positionals];
  if (positionals.length > 0 && values.only === undefined)
    throw new UsageError(`"${positionals[0] ?? ""}": tests are named after --only`);
  const unknown = (values.profile ?? []).filter(
    (profile) => !(allProfiles as readonly string[]).includes(profile),
  );
  if (unknown.length > 0)
    throw new UsageError(`unknown: ${unknown.join(", ")}; the profiles are ${allProfiles.join(", ")}`);
  const channel = channels.find((known) => known === (values.channel ?? "standard"));
  if (channel === undefined) throw new UsageError(`the channels are ${channels.join(" and ")}`);
  const folder = join(tmpdir(), `mc-wan-conformance-${userInfo().uid}-output`);
  const whole = only.length === 0 && values.profile === undefined && values.timeouts === undefined;
  return {
    only,
    profiles: values.profile ?? allProfiles,
    channel,
    // As reports are named in Gateway API's repository.
    report:
      values.report === undefined && !whole
        ? undefined
        : resolve(
            values.report ??
              join(repository, "docs/conformance", `${channel}-v${version}-default-report.yaml`),
          ),
    log: resolve(values.log ?? join(folder, "suite.log")),
    timeouts: values.timeouts ?? "",
    json: values.json ?? false,
  };
}

function parse(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      allowPositionals: true,
      options: {
        only: { type: "string", multiple: true },
        profile: { type: "string", multiple: true },
        report: { type: "string" },
        channel: { type: "string" },
        timeouts: { type: "string" },
        log: { type: "string" },
        json: { type: "boolean" },
        help: { type: "boolean" },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

async function main(): Promise<number> {
  const version = await ownVersion();
  const options = readOptions(process.argv.slice(2), version);
  if (options === undefined) {
    process.stdout.write(usage);
    return 0;
  }
  const signal = interruption();
  const binaries = await obtainBinaries(conformanceBinaryNames, { progress, signal });
  for (const file of [options.report, options.log])
    if (file !== undefined) await mkdir(dirname(file), { recursive: true });
  const { lab, kubectl, cluster, close } = await openConformanceLab({
    progress,
    runDir: join(tmpdir(), `mc-wan-conformance-${userInfo().uid}`),
    signal,
  });
  try {
    await applyChannel(options.channel, { kubectl, context: cluster.context }, progress);
    progress(`the suite runs; all that it prints goes to ${options.log}`);
    const result = await runSuite(lab, cluster, {
      ...options,
      program: binaries["gateway-api-conformance"],
      version,
      features: await featuresToTest(options, kubectl, cluster.context),
      onTest: showTest,
      signal,
    });
    return showResult(options, result);
  } finally {
    await close();
  }
}

/** The features that the suite is told; none: it asks the GatewayClass itself. */
async function featuresToTest(
  { channel }: Options,
  kubectl: Kubectl,
  context: string,
): Promise<readonly string[]> {
  if (channel === "standard") return [];
  return [...(await declaredFeatures({ kubectl, context }, gatewayClassName)), ...experimentalFeatures];
}

/** Aborts at the first Ctrl-C or end of the terminal. */
function interruption(): AbortSignal {
  const controller = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.once(name, () => {
      controller.abort(new UsageError("interrupted"));
    });
  return controller.signal;
}

async function ownVersion(): Promise<string> {
  const { version } = JSON.parse(await readFile(join(repository, "package.json"), "utf8")) as {
    version: string;
  };
  return version;
}

function showTest({ name, outcome, seconds: took, failedSubtests, lines }: TestResult): void {
  if (outcome === "skipped") return;
  progress(`${outcome.toUpperCase().padEnd(7)} ${name} (${took.toFixed(1)} s)`);
  if (outcome !== "failed") return;
  for (const subtest of failedSubtests) process.stderr.write(`            failed: ${subtest}\n`);
  for (const line of withoutRepeats(lines).slice(-25)) process.stderr.write(`            ${line.trim()}\n`);
}

/** The suite says while it waits what it waits for, ten times a second: each thing once, where it was said last. */
function withoutRepeats(lines: readonly string[]): string[] {
  const bare = lines.map((line) => line.replace(/ \d{4}-\d\d-\d\dT[\d:.]+Z:/, ""));
  return bare.filter((line, index) => bare.lastIndexOf(line) === index);
}

function showResult(options: Options, { tests, code, setUpLines }: SuiteResult): number {
  const of = (outcome: TestResult["outcome"]): string[] =>
    tests.filter((test) => test.outcome === outcome).map(({ name }) => name);
  const [passed, failed, skipped] = [of("passed"), of("failed"), of("skipped")];
  const missing = options.only.filter((name) => !tests.some((test) => test.name === name));
  if (code !== 0 && failed.length === 0)
    for (const line of setUpLines.slice(-40)) process.stderr.write(`            ${line.trim()}\n`);
  for (const name of missing)
    progress(`${name} did not run: the suite has no such test, or did not get to it`);
  if (options.report !== undefined) progress(`the report is ${options.report}`);
  if (options.json) {
    const result = {
      passed,
      failed,
      skipped,
      seconds: Number(seconds()),
      tests: tests.map(({ name, outcome, seconds: took, failedSubtests }) => ({
        name,
        outcome,
        seconds: took,
        failedSubtests,
      })),
      report: options.report,
      log: options.log,
    };
    process.stdout.write(`${JSON.stringify(result, undefined, 2)}\n`);
  }
  progress(`${passed.length} passed, ${failed.length} failed, ${skipped.length} skipped`);
  return code === 0 && missing.length === 0 && passed.length > 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
