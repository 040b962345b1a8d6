/**
 * Starts the lab's first process in namespaces of its own and follows it until it is ready.
 *
 *     this process ── [setpriv ── ] unshare ── bash (process 1 of the lab) ── node inside/main.ts
 *
 * Whoever kills `unshare`, however, ends everything: `--kill-child` kills process 1, and the kernel kills the rest of its PID namespace.
 * A lab that isn't detached ends with this process too. Nothing here changes the host but for the listening sockets on 127.0.0.1.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { openSync, closeSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { UsageError } from "../model/errors.ts";
import { hostEnvironment } from "./host-check.ts";
import { labFiles, type LabPlan, type ProgressLine } from "./lab-plan.ts";

/**
 * Process 1 of the lab. A tmpfs hides the host's /run, where `ip netns` wants to write; the run folder is brought back if it was below it, and
 * the file that /etc/resolv.conf leads to is made anew, to be mounted over. bash stays: it reaps what is orphaned in the lab.
 */
const INIT = `
set -e
node=$1 main=$2 run=$3
ulimit -n "$(ulimit -Hn)" || true
exec {held}<"$run"
mount -t tmpfs -o mode=755 none /run
mkdir -p /run/netns "$run"
case $run in /run/*) mount --no-canonicalize --bind "/proc/self/fd/$held" "$run";; esac
exec {held}<&-
resolv=$(readlink -f /etc/resolv.conf || true)
case $resolv in /run/*) mkdir -p "\${resolv%/*}"; : > "$resolv";; esac
ip link set lo up
cd "$run"
"$node" "$main" "$run" &
for fd in /proc/self/fd/*; do fd=\${fd##*/}; if [ "$fd" -gt 2 ]; then eval "exec $fd>&-" || true; fi; done
wait $!
`;

/** How a lab is launched. */
export interface LaunchOptions {
  /** Whether the lab outlives this process. */
  readonly detached: boolean;
  /** Ends the lab while it is starting. */
  readonly signal?: AbortSignal | undefined;
  readonly onStep: (text: string, cluster: string | undefined) => void;
}

/** A lab's holder process. */
export interface LaunchedLab {
  readonly child: ChildProcess;
  readonly pid: number;
  /** Fulfils when the lab is ready; rejects with what failed, after which nothing of it is left. */
  readonly ready: Promise<void>;
}

/** Sockets that listen on the host for the clusters' API servers. */
export interface ApiServerSockets {
  readonly ports: readonly number[];
  /** For the lab's first process. */
  readonly descriptors: readonly number[];
  /** Closes this process's copies. */
  close(): void;
}

/** Opens `count` sockets on 127.0.0.1: on ports from `portBase` on, or on free ones. Throws UsageError when a port is taken. */
export async function openApiServerSockets(count: number, portBase?: number): Promise<ApiServerSockets> {
  const servers: Server[] = [];
  const close = (): void => {
    for (const server of servers) server.close();
  };
  try {
    for (let index = 0; index < count; index += 1)
      servers.push(await listen(portBase === undefined ? 0 : portBase + index));
  } catch (error) {
    close();
    throw error;
  }
  const addresses = servers.map((server) => server.address());
  const ports = addresses.map((address) =>
    typeof address === "object" && address !== null ? address.port : 0,
  );
  return { ports, descriptors: servers.map(descriptorOf), close };
}

/** Launches the lab that `plan.json` in the plan's run folder describes. */
export function launch(plan: LabPlan, sockets: ApiServerSockets, options: LaunchOptions): LaunchedLab {
  const log = openSync(join(labFiles(plan.runDir).logDir, "lab.log"), "a");
  const main = join(plan.sourceDir, "lab", "inside", "main.ts");
  const unshare = ["unshare", "-Urnm", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"];
  const words = [...unshare, "bash", "-c", INIT, "mcwan-lab", process.execPath, main, plan.runDir];
  const [program = "", ...args] = options.detached ? words : ["setpriv", "--pdeathsig", "KILL", ...words];
  const child = spawn(program, args, {
    detached: options.detached,
    cwd: plan.runDir,
    env: hostEnvironment(),
    stdio: ["ignore", log, log, "pipe", ...sockets.descriptors],
  });
  closeSync(log);
  const progress = child.stdio[3] as Readable;
  const ready = new Promise<void>((resolve, reject) => {
    let failure = "it ended without a word";
    const abort = (): void => {
      failure = "it was interrupted";
      child.kill("SIGKILL");
    };
    options.signal?.addEventListener("abort", abort, { once: true });
    createInterface({ input: progress }).on("line", (line) => {
      const said = JSON.parse(line) as ProgressLine;
      if (said.kind === "step") options.onStep(said.text, said.cluster);
      else if (said.kind === "failed") failure = said.message;
      else {
        options.signal?.removeEventListener("abort", abort);
        progress.destroy();
        resolve();
      }
    });
    const failed = (how: string): void => {
      reject(new Error(`the lab did not come up: ${failure}${how} (${labFiles(plan.runDir).logDir})`));
    };
    child.once("error", (error) => {
      failed(`: ${error.message}`);
    });
    // The pipe may still hold the last words when the process is gone.
    child.once("close", () => {
      failed("");
    });
  });
  ready.catch(() => undefined);
  return { child, pid: child.pid ?? 0, ready };
}

async function listen(port: number): Promise<Server> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => {
      const taken = "code" in error && error.code === "EADDRINUSE";
      reject(
        taken
          ? new UsageError(
              `port 127.0.0.1:${port} is taken: choose others with --port-base, or none for free ones`,
            )
          : error,
      );
    });
    server.listen({ port, host: "127.0.0.1" }, resolve);
  });
  return server;
}

/** Node gives a socket's descriptor to children only by number, and the number only by its internals. */
function descriptorOf(server: Server): number {
  const handle = (server as unknown as { _handle?: { fd?: unknown } | null })._handle;
  if (typeof handle?.fd !== "number") throw new Error("this Node doesn't tell a socket's descriptor");
  return handle.fd;
}
