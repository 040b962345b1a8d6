/**
 * Runs a short command of the host to its end and gives what it printed. Nothing here outlives its time-out.
 */
import { spawn } from "node:child_process";
import { killWithChildren } from "./process-tree.ts";

/** How the command ended, for callers that want to know. */
export interface CommandResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What goes in, and how long it may take (default 30 s: machines may be busy). */
export interface CommandOptions {
  readonly input?: string;
  readonly timeoutMs?: number;
}

/** Most output that is kept, per stream, in characters. */
const OUTPUT_LIMIT = 64 * 1024;

/** Runs a command to its end; a non-zero exit is a result. Rejects when it can't be started. Exit code 124 after the time-out. */
export function execute(
  words: readonly string[],
  { input, timeoutMs = 30_000 }: CommandOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const [file = "", ...args] = words;
    const child = spawn("setpriv", ["--pdeathsig", "KILL", file, ...args], {
      stdio: ["pipe", "pipe", "pipe"],
    });
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      killWithChildren(child.pid ?? 0);
    }, timeoutMs);
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      if (stdout.length < OUTPUT_LIMIT) stdout += chunk;
    });
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
      if (stderr.length < OUTPUT_LIMIT) stderr += chunk;
    });
    child.stdin.on("error", () => undefined);
    child.stdin.end(input ?? "");
    child.on("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({ exitCode: late ? 124 : (code ?? 137), stdout, stderr });
    });
  });
}

/** Like `execute`, but a non-zero exit throws with what was said on stderr. Gives stdout. */
export async function run(words: readonly string[], options: CommandOptions = {}): Promise<string> {
  const { exitCode, stdout, stderr } = await execute(words, options);
  if (exitCode !== 0) throw new Error(`${words.join(" ")}: exit ${exitCode}: ${stderr.trim()}`);
  return stdout;
}
