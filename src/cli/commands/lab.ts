/**
 * `mcwan lab`: brings a lab up and down and works in it. Only words in and words out; what a lab is, is in src/lab.
 */
import { InvalidArgumentError, type Command } from "commander";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { passThrough } from "../../lab/enter.ts";
import { endLab, openLab, startLab, type Lab } from "../../lab/lab.ts";
import { DEFAULT_TUNNELS } from "../../lab/make-plan.ts";
import type { TunnelPlan } from "../../lab/lab-plan.ts";
import { parseTunnel } from "../../lab/tunnel-option.ts";
import { installMcWan, waitForMcWan } from "../../lab/install.ts";
import { kubectl } from "../../lab/kubectl.ts";
import { isRunning } from "../../lab/run-dir.ts";
import { UsageError } from "../../model/errors.ts";
import { registerLabLink } from "./lab-link.ts";
import { print, withOutput, type OutputOptions } from "./output-option.ts";
import { countersTable, statusReport, statusTable, type StatusReport } from "./lab-tables.ts";

const manifests = join(import.meta.dirname, "../../../deploy");
const readyTimeoutMs = 120_000;

interface UpOptions {
  readonly clusters: readonly string[];
  readonly tunnel?: readonly TunnelPlan[];
  readonly portBase?: number;
  readonly images?: string;
  readonly foreground?: boolean;
  readonly bare?: boolean;
}

/** Adds `mcwan lab` and its subcommands. */
export function registerLab(program: Command): void {
  const lab = program
    .command("lab")
    .description("Run whole clusters on this machine, without Docker and without root");
  lab.addHelpText(
    "after",
    "\nThe lab lives in $MCWAN_RUN, else $XDG_RUNTIME_DIR/mc-wan, else /tmp/mc-wan-<uid>; another folder is another lab.",
  );
  lab
    .command("up")
    .description("start the clusters and return when they are ready")
    .option("--clusters <ids>", "how many (3: c1, c2, c3), or their ids, comma-separated", clusterIds, [
      "c1",
      "c2",
      "c3",
    ])
    .option(
      "--tunnel <name[,rate=<Mbit/s>,delay=<ms>,jitter=<ms>,loss=<%>]...>",
      "a tunnel of the SD-WAN; repeat for each (default: business and default)",
      collectTunnel,
    )
    .option(
      "--port-base <port>",
      "first port of the API servers on 127.0.0.1 (default: free ones)",
      portNumber,
    )
    .option("--images <file>", "JSON file of further images for the node agents")
    .option("--bare", "leave the clusters without mc-wan")
    .option("--foreground", "stay until Ctrl-C, which ends the lab")
    .action(async (options: UpOptions) => {
      await up(options);
    });
  lab
    .command("down")
    .description("end the lab and remove everything of it")
    .action(async () => {
      print((await endLab()) ? "the lab is down" : "no lab was up");
    });
  withOutput(lab.command("status").description("what is up, and where")).action(
    async ({ output }: OutputOptions) => {
      await status(output);
    },
  );
  withOutput(
    lab
      .command("counters")
      .description("what passed each link: packets and TCP payload by policy port and direction"),
  ).action(async ({ output }: OutputOptions) => {
    const counters = await (await current()).counters();
    print(output === "json" ? JSON.stringify(counters, undefined, 2) : countersTable(counters));
  });
  registerLabLink(lab, current);
  lab
    .command("env")
    .description('print what a shell needs: eval "$(mcwan lab env)"')
    .action(async () => {
      const lab = await current();
      print(`export MCWAN_RUN=${quote(lab.runDir)}`);
      print(`export KUBECONFIG=${quote(lab.kubeconfig)}\nexport KUBECACHEDIR=${quote(kubectlCache(lab))}`);
    });
  lab
    .command("kubectl")
    .description("run kubectl against a cluster: mcwan lab kubectl --cluster c2 -- get pods -A")
    .option("--cluster <id>", "which cluster (default: the first)")
    .argument("[args...]", "kubectl's arguments")
    .passThroughOptions()
    .action(async (args: string[], { cluster }: { cluster?: string }) => {
      await runKubectl(args, cluster);
    });
  lab
    .command("curl")
    .description(
      "run curl as a client in a cluster, with the cluster's DNS: mcwan lab curl c1 -s http://payment-clusterset.secure.svc.cluster.local:8080/payment",
    )
    .argument("<cluster>", "where the client is")
    .argument("<args...>", "curl's arguments")
    .passThroughOptions()
    .action(async (cluster: string, args: string[]) => {
      process.exitCode = await passThrough((await current()).clientCommand(cluster, ["curl", ...args]));
    });
}

/** Puts mc-wan into every cluster, as into real ones, and waits for its gateways. */
async function install(lab: Lab, progress: (line: string) => void): Promise<void> {
  const client = kubectl(lab.program("kubectl"), lab.kubeconfig);
  await installMcWan(client, lab.clusters, { manifests, progress });
  await waitForMcWan(client, lab.clusters, readyTimeoutMs);
}

async function up(options: UpOptions): Promise<void> {
  const began = performance.now();
  const progress = (line: string): void => {
    process.stderr.write(`${((performance.now() - began) / 1000).toFixed(1).padStart(6)} s  ${line}\n`);
  };
  const interrupted = new AbortController();
  const interrupt = (): void => {
    interrupted.abort(new UsageError("interrupted"));
  };
  process.once("SIGINT", interrupt).once("SIGTERM", interrupt);
  const lab = await startLab({
    clusters: options.clusters,
    tunnels: options.tunnel ?? DEFAULT_TUNNELS,
    portBase: options.portBase,
    imagesFile: options.images,
    detached: options.foreground !== true,
    onProgress: progress,
    signal: interrupted.signal,
    install:
      options.bare === true
        ? undefined
        : async (started) => {
            await install(started, progress);
          },
  });
  progress("the lab is up");
  print(statusTable(await statusReport(lab)));
  if (options.foreground !== true) return;
  while (!interrupted.signal.aborted && isRunning(lab.state.process)) await sleep(100);
  await lab.stop();
}

async function status(output: OutputOptions["output"]): Promise<void> {
  const lab = await openLab();
  const report: StatusReport = lab === undefined ? { up: false } : await statusReport(lab);
  print(output === "json" ? JSON.stringify(report, undefined, 2) : statusTable(report));
  if (lab === undefined) process.exitCode = 1;
}

async function runKubectl(args: readonly string[], cluster: string | undefined): Promise<void> {
  const lab = await current();
  const { context } = cluster === undefined ? (lab.clusters[0] ?? lab.cluster("")) : lab.cluster(cluster);
  process.exitCode = await passThrough([lab.program("kubectl"), "--context", context, ...args], {
    env: { KUBECONFIG: lab.kubeconfig, KUBECACHEDIR: kubectlCache(lab) },
  });
}

/** What kubectl notes of the API servers, by port: an earlier lab on the same port had other kinds. It ends with the lab. */
function kubectlCache({ runDir }: Lab): string {
  return join(runDir, "kubectl-cache");
}

async function current(): Promise<Lab> {
  const lab = await openLab();
  if (lab === undefined) throw new UsageError("no lab is up: `mcwan lab up` starts one");
  return lab;
}

function clusterIds(value: string): readonly string[] {
  if (!/^\d+$/.test(value)) return value.split(",").map((id) => id.trim());
  return Array.from({ length: Math.min(Number(value), 100) }, (_, index) => `c${index + 1}`);
}

function portNumber(value: string): number {
  const port = Number(value);
  if (!Number.isInteger(port) || port < 1024 || port > 65000)
    throw new InvalidArgumentError("it is a number from 1024 to 65000.");
  return port;
}

function collectTunnel(value: string, before: readonly TunnelPlan[] | undefined): readonly TunnelPlan[] {
  const tunnel = parseTunnel(value);
  if (typeof tunnel === "string") throw new InvalidArgumentError(tunnel);
  return [...(before ?? []), tunnel];
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
