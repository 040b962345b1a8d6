/**
 * One run of a container: starts the script of `container-script.ts` in new namespaces and tells when and how it ended. Every
 * process dies with the agent (`pdeathsig`). It never restarts anything: that is `container.ts`.
 */
import { spawn, type ChildProcess } from "node:child_process";
import type { Readable } from "node:stream";
import type { ContainerLog } from "./container-log.ts";
import { childProcesses, killWithChildren } from "./process-tree.ts";

/** How a run ended. `exitCode` is 128 + n for signal n. */
export interface ContainerExit {
  readonly exitCode: number;
  readonly finishedAt: Date;
}

/** A running container. */
export interface ContainerProcess {
  /** Its PID 1 as the agent sees it. */
  readonly pid: number;
  readonly startedAt: Date;
  readonly exited: Promise<ContainerExit>;
  /** Sends a signal to PID 1. As in any PID namespace, one that the program does not handle is ignored, SIGKILL excepted. */
  signal(name: NodeJS.Signals): void;
}

/** The container could not be set up; the message says where. */
export class ContainerStartError extends Error {
  override readonly name = "ContainerStartError";
}

const SIGNALS: Readonly<Record<string, number>> = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGILL: 4, SIGABRT: 6, SIGFPE: 8, SIGKILL: 9, SIGSEGV: 11, SIGPIPE: 13, SIGTERM: 15 }; // prettier-ignore

/** Set-up is a few dozen mounts; longer than this means that the machine is stuck. */
const SETUP_TIMEOUT_MS = 60_000;

/** Resolves once the program is about to start, rejects with ContainerStartError when it never gets there. */
export async function startContainerProcess(
  scriptFile: string,
  netnsPath: string | undefined,
  log: ContainerLog,
): Promise<ContainerProcess> {
  const namespaces = ["--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child"];
  const enter = netnsPath === undefined ? [] : ["nsenter", `--net=${netnsPath}`];
  const child = spawn(
    "setpriv",
    ["--pdeathsig", "KILL", ...enter, "unshare", ...namespaces, "bash", scriptFile],
    {
      stdio: ["ignore", "pipe", "pipe", "pipe"],
    },
  );
  for (const stream of [child.stdout, child.stderr]) if (stream !== null) log.take(stream);
  const exited = untilExit(child).then((exit) => {
    log.close();
    return exit;
  });
  const started = await Promise.race([untilStarted(child.stdio[3] as Readable), timeout(SETUP_TIMEOUT_MS)]);
  const [pid] = childProcesses(child.pid ?? 0);
  if (!started.ok || pid === undefined) {
    if (child.pid !== undefined) killWithChildren(child.pid);
    await exited;
    if (!started.ok) throw new ContainerStartError(started.message);
    // It started and is over already: an end like any other.
    return { pid: 0, startedAt: new Date(), exited, signal: () => undefined };
  }
  return {
    pid,
    startedAt: new Date(),
    exited,
    signal: (name) => {
      try {
        process.kill(pid, name);
      } catch {
        // It ended in between.
      }
    },
  };
}

function untilExit(child: ChildProcess): Promise<ContainerExit> {
  return new Promise((resolve) => {
    child.once("error", () => {
      resolve({ exitCode: 128, finishedAt: new Date() });
    });
    child.once("close", (code, signal) => {
      resolve({ exitCode: code ?? 128 + (SIGNALS[signal ?? ""] ?? 0), finishedAt: new Date() });
    });
  });
}

interface Started {
  readonly ok: boolean;
  readonly message: string;
}

function untilStarted(report: Readable): Promise<Started> {
  return new Promise((resolve) => {
    let text = "";
    report.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
      if (/(^|\n)started\n$/.test(text)) resolve({ ok: true, message: "" });
    });
    report.on("close", () => { resolve({ ok: false, message: text.trim().slice(-1000) }); }); // prettier-ignore
    report.on("error", () => undefined);
  });
}

async function timeout(ms: number): Promise<Started> {
  return new Promise((resolve) => {
    setTimeout(() => { resolve({ ok: false, message: `not set up after ${ms} ms` }); }, ms).unref(); // prettier-ignore
  });
}
