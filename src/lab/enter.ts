/**
 * Running programs in a lab that is up, from the host, as the user who started it: in the lab's own namespaces, or in those of one cluster.
 */
import { spawn, type StdioOptions } from "node:child_process";
import { UsageError } from "../model/errors.ts";
import { hostEnvironment } from "./host-check.ts";
import { inNetns } from "./inside/network.ts";
import { childrenOf, isRunning, type LabState } from "./run-dir.ts";
import { exitCodeOf, runProgram, type ProgramResult } from "./run-program.ts";

/** Where and how a program runs. */
export interface EnterOptions {
  /** Network namespace in the lab; undefined is the lab's own. */
  readonly netns?: string;
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** The words before a command that run it in all the namespaces of a process of this user. */
export function enteringWords(pid: number): string[] {
  return ["nsenter", "--preserve-credentials", "-U", "-m", "-n", "-u", "-i", "-p", "-t", String(pid), "--"];
}

/** The command that runs `words` inside of a lab. Throws UsageError when the lab is gone. */
export function enteringCommand(state: LabState, words: readonly string[], netns?: string): string[] {
  const [first] = isRunning(state.process) ? childrenOf(state.process.pid) : [];
  if (first === undefined) throw new UsageError("the lab is gone: `mcwan lab up` starts it anew");
  return [...enteringWords(first), ...(netns === undefined ? [] : [...inNetns(netns), "--"]), ...words];
}

/** Runs a program in the lab to its end. A code other than 0 is a result. Rejects when it can't be started. */
export async function enter(
  state: LabState,
  words: readonly string[],
  options: EnterOptions = {},
): Promise<ProgramResult> {
  return await runProgram(enteringCommand(state, words, options.netns), {
    ...options,
    env: { ...hostEnvironment(), ...options.env },
  });
}

/** Runs a program with this process's own input and output. Gives its exit code, 128 + n for a signal's end as a shell does. */
export async function passThrough(
  words: readonly string[],
  options: { env?: Readonly<Record<string, string>>; stdio?: StdioOptions } = {},
): Promise<number> {
  const [program = "", ...args] = words;
  const child = spawn(program, args, {
    env: { ...hostEnvironment(), ...options.env },
    stdio: options.stdio ?? "inherit",
  });
  // Ctrl-C reaches the program from the terminal; this process stays to give its exit code.
  const ignore = (): void => undefined;
  process.on("SIGINT", ignore);
  try {
    return await exitCode(child);
  } finally {
    process.off("SIGINT", ignore);
  }
}

/** The words that run a program as a client of a cluster: a Pod's network and DNS, but the host's files. */
export function asClient(words: readonly string[], resolvConf: string): string[] {
  const script = 'mount --bind "$1" /etc/resolv.conf; shift; exec "$@"';
  return ["unshare", "--mount", "sh", "-ec", script, "client", resolvConf, ...words];
}

function exitCode(child: ReturnType<typeof spawn>): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => {
      resolve(code ?? exitCodeOf(signal));
    });
  });
}
