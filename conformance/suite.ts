/**
 * Runs Gateway API's conformance suite, as it is published, in a cluster of a lab: inside of the lab's network, as a Pod would,
 * so that the Gateways' ClusterIPs are addresses that it reaches.
 *
 *     suite program ──(kubeconfig, from inside)──> API server      suite program ──> Gateways ──> echo-basic
 */
import { spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { createInterface } from "node:readline";
import type { Lab, LabCluster } from "../src/lab/lab.ts";
import { gatewayClassName } from "../src/model/names.ts";
import { SuiteOutput, type TestResult } from "./suite-output.ts";

/** The profiles that mc-wan conforms to. */
export const allProfiles = ["GATEWAY-HTTP", "GATEWAY-GRPC", "GATEWAY-TLS", "GATEWAY-TCP"] as const;

/** What of the suite is to run. */
export interface SuiteOptions {
  /** Path of the suite's program. */
  readonly program: string;
  readonly profiles: readonly string[];
  /** Short names of tests, whatever their features; empty: those of all features that are tested. */
  readonly only: readonly string[];
  /** Features to test; empty: those that the GatewayClass says. */
  readonly features: readonly string[];
  /** Where the report goes; undefined: none is written. */
  readonly report: string | undefined;
  /** Where all that the suite prints goes. */
  readonly log: string;
  /** Other waits than the suite's own, as its flag has them; empty: none. */
  readonly timeouts: string;
  /** Of package.json. */
  readonly version: string;
  readonly onTest: (result: TestResult) => void;
  readonly signal?: AbortSignal | undefined;
}

/** What a run of the suite gave. */
export interface SuiteResult {
  readonly tests: readonly TestResult[];
  /** The suite's exit code: not 0 if a test or the set-up failed. */
  readonly code: number;
  /** What was printed outside of tests. */
  readonly setUpLines: readonly string[];
}

/** Features that no GatewayClass can have: of service meshes, which the suite would deploy its own backends for. */
const notOfGateways = ["Mesh"];

/** The suite's arguments. */
export function suiteArguments(options: SuiteOptions, lab: Pick<LabCluster, "addresses">): string[] {
  const only = options.only.map((name) => name.replaceAll(/[^\w]/g, "\\$&")).join("|");
  const flags: Record<string, string> = {
    "gateway-class": gatewayClassName,
    "conformance-profiles": options.profiles.join(","),
    ...(options.report === undefined ? {} : { "report-output": options.report }),
    organization: "mc-wan",
    project: "mc-wan",
    url: "https://github.com/l7mp/mc-wan",
    version: `v${options.version}`,
    contact: "https://github.com/l7mp/mc-wan/issues",
    // The lab ends, or the next run goes on with what stands.
    "cleanup-base-resources": "false",
    ...staticAddresses(lab),
    ...(options.timeouts === "" ? {} : { "timeout-config-overrides": options.timeouts }),
    ...(options.features.length === 0 ? {} : { "supported-features": options.features.join(",") }),
    ...(only === "" ? {} : { "all-features": "true", "exempt-features": notOfGateways.join(",") }),
  };
  return [
    // Each result as soon as it is there; otherwise the results of all tests come when the last one has ended.
    "-test.v=test2json",
    // Beside the suite the package has tests of itself, which need its sources.
    "-test.run",
    only === "" ? "^TestConformance$" : `^TestConformance$/^(${only})$`,
    ...Object.entries(flags).map(([name, value]) => `-${name}=${value}`),
  ];
}

/** For the test of static addresses: a ClusterIP that nobody else asks for, and one that is in no range of the cluster. */
function staticAddresses({ addresses }: Pick<LabCluster, "addresses">): Record<string, string> {
  const services = addresses.serviceCIDR.replace(/\.0\/20$/, "");
  return { "usable-address": `${services}.200`, "unusable-address": "192.0.2.1" };
}

/** Runs the suite to its end. Rejects only when it can't be started or is interrupted. */
export async function runSuite(lab: Lab, cluster: LabCluster, options: SuiteOptions): Promise<SuiteResult> {
  // Ends with us, and inside with the nsenter that waits for it: the suite would go on by itself for an hour.
  const mortal = ["setpriv", "--pdeathsig", "KILL"];
  const inside = [...mortal, options.program, ...suiteArguments(options, cluster)];
  const [program = "", ...args] = [...mortal, ...lab.clientCommand(cluster.id, inside)];
  const child = spawn(program, args, {
    env: { ...process.env, KUBECONFIG: lab.insideKubeconfig },
    stdio: ["ignore", "pipe", "pipe"],
    signal: options.signal,
  });
  const log = createWriteStream(options.log);
  const output = new SuiteOutput();
  const tests: TestResult[] = [];
  const take = (line: string): void => {
    log.write(`${line}\n`);
    const ended = output.take(line);
    if (ended === undefined) return;
    tests.push(ended);
    options.onTest(ended);
  };
  createInterface(child.stdout).on("line", take);
  createInterface(child.stderr).on("line", take);
  const code = await new Promise<number>((resolve, reject) => {
    child.on("error", (error) => {
      reject(options.signal?.aborted === true ? (options.signal.reason as Error) : error);
    });
    child.on("close", (exitCode) => {
      resolve(exitCode ?? 1);
    });
  });
  await new Promise<void>((resolve) => log.end(resolve));
  return { tests, code, setUpLines: output.setUpLines };
}
