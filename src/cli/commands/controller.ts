/**
 * `mcwan controller`: what runs in a cluster. Reads flags and environment, makes the drivers, starts the stages, and ends
 * them when asked to.
 */
import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { Option } from "commander";
import { UsageError } from "../../model/errors.ts";
import { doorFolder } from "../../model/names.ts";
import { isReachable } from "../../model/ipv4.ts";
import type { Log } from "../../model/log.ts";
import type { Redacted } from "../../model/redacted.ts";
import type { Settings } from "../../model/world.ts";
import { logLevels } from "../../drivers/log/winston-log.ts";
import type { LogLevel } from "../../drivers/log/winston-log.ts";
import { isDnsLabel } from "../../observe/peer-secrets.ts";
import type { ConnectPeer } from "../../observe/peer-watch.ts";
import { dataPlaneNamed, dataPlanes } from "../data-planes/registry.ts";
import type { DataPlaneFlags } from "../data-planes/registry.ts";
import { numberOption } from "./whole-number.ts";

/** The flags, as commander gives them. */
interface ControllerFlags extends DataPlaneFlags {
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly clusterId?: string;
  readonly xdsAddress: string;
  readonly xdsPort: number;
  readonly envoyImage: string;
  readonly healthPort: number;
  readonly debugPort: number;
  readonly logLevel: LogLevel;
  readonly dummyEndpoints: Settings["dummyEndpoints"];
  readonly legacyEndpoints: boolean;
  readonly poolReplicas: number;
  readonly leaderElect: boolean;
  readonly trustDomain: string;
  readonly tokenFile: string;
  readonly dataPlane: string;
  readonly ingressAddress: readonly string[];
  readonly portDrainLimit: number;
  readonly onPartition: "Keep" | "Drain";
  readonly staleAfter: number;
}

type IngressMode = Settings["ingress"]["mode"];
const ingressModes: readonly IngressMode[] = ["PodIP", "NodePort", "LoadBalancer", "Static"];

/** How long a graceful end may take; the Pod's grace period is longer. */
const stopTimeoutMs = 10_000;
const port = numberOption({ min: 0, max: 65_535 });
const yesOrNo = (text: string): boolean => {
  if (text !== "true" && text !== "false") throw new UsageError(`expected true or false, not ${text}`);
  return text === "true";
};

const trustDomain = (text: string): string => {
  const isDomain = text.length <= 190 && text.split(".").every(isDnsLabel);
  if (!isDomain) throw new UsageError(`expected a domain in lower case, such as mesh.example, not ${text}`);
  return text;
};

/** Adds the command to the program. */
export function registerController(program: Command): void {
  program
    .command("controller")
    .description("Run the controller of one cluster")
    .option("--kubeconfig <file>", "kubeconfig of the home cluster (default: the Pod's service account)")
    .option("--context <name>", "context in the kubeconfig")
    .option(
      "--cluster-id <id>",
      "id of this cluster where no ClusterProperty cluster.clusterset.k8s.io says it",
    )
    .option(
      "--data-plane <name>",
      `who carries the traffic: ${Object.entries(dataPlanes)
        .map(([name, { about }]) => `${name} (${about})`)
        .join(", ")}`,
      "envoy",
    )
    .option("--gateway-class <name>", "GatewayClass of the Gateways that mc-wan writes; with gateway-api")
    .option(
      "--xds-address <host>",
      "host at which Envoys reach this controller",
      "mc-wan-xds.mc-wan-system.svc.cluster.local",
    )
    .option("--xds-port <port>", "port of the ADS server", port, 18_000)
    .option("--envoy-image <image>", "image of the gateways", "docker.io/envoyproxy/envoy:v1.40.0")
    .option("--health-port <port>", "port of /healthz, /readyz and /metrics, on all addresses", port, 8080)
    .option("--debug-port <port>", "port of /debug, on the loopback address", port, 8079)
    .addOption(
      new Option("--log-level <level>", "least level that is logged").choices(logLevels).default("info"),
    )
    .addOption(
      new Option("--dummy-endpoints <which>", "which dummy Services get EndpointSlices")
        .choices(["All", "Referenced"])
        .default("All"),
    )
    .option(
      "--legacy-endpoints <boolean>",
      "write Endpoints beside each EndpointSlice of a proxy",
      yesOrNo,
      true,
    )
    .option(
      "--pool-replicas <count>",
      "Envoys of each shared pool, and of each Gateway of a user",
      numberOption({ min: 1, max: 100 }),
      2,
    )
    .addOption(
      new Option("--ingress-mode <mode>", "at which addresses peers reach this cluster's gateways")
        .choices(ingressModes)
        .default("PodIP"),
    )
    .addOption(
      new Option("--ingress-address <ip>", "an address of mode Static; repeat it for more")
        .argParser((text, before: readonly string[]) => [...before, text])
        .default([]),
    )
    .addOption(
      new Option(
        "--on-partition <what>",
        "whether a cluster that is not heard gets requests, where an import doesn't say",
      )
        .choices(["Keep", "Drain"])
        .default("Keep"),
    )
    .option(
      "--stale-after <seconds>",
      "after how long without hearing it a cluster counts as stale, where an import doesn't say",
      numberOption({ min: 5, max: 86_400 }),
      5,
    )
    .option(
      "--port-drain-limit <seconds>",
      "how long a WANPolicy's earlier port stays open for peers that don't say that they have left it",
      numberOption({ min: 1, max: 86_400 }),
      600,
    )
    .option(
      "--trust-domain <name>",
      "what the trust domains of all clusters end in; each cluster's begins with its id",
      trustDomain,
      "mc-wan.l7mp.io",
    )
    .option("--token-file <file>", "token by which the other replicas know this one", `${doorFolder}/token`)
    .option("--leader-elect <boolean>", "write only while holding the Lease", yesOrNo, true)
    .action(async (flags: ControllerFlags) => {
      await controller(flags);
    });
}

/** Runs until a signal ends it. */
async function controller(flags: ControllerFlags): Promise<void> {
  if (flags.clusterId !== undefined && !isDnsLabel(flags.clusterId)) {
    throw new UsageError(`--cluster-id ${flags.clusterId} is no DNS label`);
  }
  const settings = settingsOf(flags);
  const { winstonLog } = await import("../../drivers/log/winston-log.ts");
  const log = winstonLog({ level: flags.logLevel });
  guard(log);
  const stop = await start(flags, settings, log);
  await untilAsked();
  log.info("stops");
  const timer = setTimeout(() => {
    log.error("didn't stop in time");
    process.exit(1);
  }, stopTimeoutMs);
  await stop();
  clearTimeout(timer);
}

/** Puts drivers and stages together; gives what ends them. */
async function start(flags: ControllerFlags, settings: Settings, log: Log): Promise<() => Promise<void>> {
  const [drivers, { Controller }, { serveStatus }, { createReconcile }] = await Promise.all([
    loadDrivers(),
    import("../run.ts"),
    import("../status-pages.ts"),
    import("../../reconcile/reconcile.ts"),
  ]);
  const metrics = drivers.prometheusMetrics();
  const podName = process.env["POD_NAME"] ?? `pid-${process.pid}`;
  const podIp = process.env["POD_IP"] ?? "127.0.0.1";
  const access = await drivers.homeAccess({
    ...(flags.kubeconfig !== undefined && { kubeconfig: flags.kubeconfig }),
    ...(flags.context !== undefined && { context: flags.context }),
  });
  const home = new drivers.KubeClient(access);
  const dataPlane = await dataPlaneNamed(flags.dataPlane).create({
    stage: (stage) => ({ stage, timing: drivers.realTiming, metrics, log: log.child({ stage }) }),
    xdsPort: flags.xdsPort,
    tokenKeys: () => home.tokenKeys(),
    token: () => readFile(flags.tokenFile, "utf8"),
  });
  const run = new Controller({
    reconcile: createReconcile(),
    home,
    connectPeer: connectPeerWith(drivers),
    probeGateway: drivers.probeTcp,
    certificateMaker: drivers.certificateMaker,
    dataPlane,
    log,
    metrics,
    timing: drivers.realTiming,
    settings,
    clusterId: flags.clusterId,
    identity: `${podName}_${podIp}`,
    leaderElection: flags.leaderElect,
    observe: { drainLimitMs: flags.portDrainLimit * 1000 },
  });
  const ports = { health: flags.healthPort, debug: flags.debugPort };
  const pages = await serveStatus({ controller: run, dataPlane, metrics, ports }).catch((error: unknown) => {
    throw portFault(error, { "--health-port": ports.health, "--debug-port": ports.debug });
  });
  const served = await run.start().catch((error: unknown) => {
    throw portFault(error, { "--xds-port": flags.xdsPort });
  });
  log.info("started", {
    dataPlane: flags.dataPlane,
    ...served,
    health: pages.healthPort,
    debug: pages.debugPort,
    server: access.server.origin,
  });
  return async () => {
    await run.stop();
    await pages.close();
  };
}

/** A server could not listen: names the flag. Of several, the error's own port tells which. */
function portFault(error: unknown, flags: Readonly<Record<string, number>>): unknown {
  const own = error instanceof Error && "port" in error ? error.port : undefined;
  const [flag, taken] = Object.entries(flags).find(([, number]) => own === undefined || number === own) ?? [];
  if (flag === undefined) return error;
  return new UsageError(`can't listen on port ${String(taken)}: choose another with ${flag}`, {
    cause: error,
  });
}

function settingsOf(flags: ControllerFlags): Settings {
  return {
    envoyImage: flags.envoyImage,
    xdsAddress: { host: flags.xdsAddress, port: flags.xdsPort },
    dummyEndpoints: flags.dummyEndpoints,
    legacyEndpoints: flags.legacyEndpoints,
    poolReplicas: flags.poolReplicas,
    partition: { onPartition: flags.onPartition, staleAfterMs: flags.staleAfter * 1000 },
    dataPlane: dataPlaneNamed(flags.dataPlane).settings(flags),
    trustDomain: flags.trustDomain,
    ingress: ingressOf(flags),
  };
}

/** Refuses what would send peers nowhere, or to themselves. */
function ingressOf({ ingressMode: mode, ingressAddress }: ControllerFlags): Settings["ingress"] {
  const addresses = [...new Set(ingressAddress)].sort();
  if (mode === "Static" && addresses.length === 0)
    throw new UsageError(
      "--ingress-mode Static needs an --ingress-address at which peers reach the gateways",
    );
  if (mode !== "Static" && addresses.length > 0)
    throw new UsageError(`--ingress-address goes with --ingress-mode Static, not ${mode}`);
  for (const address of addresses) {
    if (!isReachable(address))
      throw new UsageError(
        `--ingress-address ${address} is no IPv4 address that another cluster can reach (loopback, link-local, multicast and reserved ones are not)`,
      );
  }
  return { mode, addresses };
}

type Drivers = Awaited<ReturnType<typeof loadDrivers>>;

/** Loaded only here: client-node and gRPC take their time and memory. */
async function loadDrivers() {
  const [access, client, { prometheusMetrics }, timing, net, certificates] = await Promise.all([
    import("../../drivers/kube/kubeconfig.ts"),
    import("../../drivers/kube/kube-client.ts"),
    import("../../drivers/metrics/prometheus-metrics.ts"),
    import("../../drivers/timing/real-timing.ts"),
    import("../../drivers/net/tcp-probe.ts"),
    import("../../drivers/x509/certificate-maker.ts"),
  ]);
  return { ...access, ...client, prometheusMetrics, ...timing, ...net, ...certificates };
}

function connectPeerWith({ peerAccess, KubeClient }: Drivers): ConnectPeer {
  return async (kubeconfig: Redacted<string>) => {
    const access = await peerAccess(Buffer.from(kubeconfig.reveal(), "base64"));
    return "server" in access ? new KubeClient(access) : access;
  };
}

async function untilAsked(): Promise<void> {
  await new Promise<void>((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      process.once(signal, () => {
        resolve();
      });
    }
  });
}

/** A bug outside of any stage: it is told, and Kubernetes starts us anew; Envoys go on with what they have. */
function guard(log: Log): void {
  const end = (error: unknown): void => {
    log.error("unexpected failure", { error: error instanceof Error ? error : new Error(String(error)) });
    process.exitCode = 1;
    setTimeout(() => process.exit(1), 100);
  };
  process.on("uncaughtException", end);
  process.on("unhandledRejection", end);
}
