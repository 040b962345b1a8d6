/** Runs a program of the host to its end and gives all that it printed: for programs whose output is small enough to be kept. */
import { spawn } from "node:child_process";

/** A program that has ended. */
export interface ProgramResult {
  /** Its exit code; 128 + n for a signal's end, as a shell says it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a program runs. */
export interface ProgramOptions {
  readonly input?: string | undefined;
  /** Default: this process's environment. */
  readonly env?: NodeJS.ProcessEnv | undefined;
  /** Ends it. */
  readonly signal?: AbortSignal | undefined;
}

/** Runs a program to its end. A code other than 0 is a result. Rejects when it can't be started, or is ended by `signal`. */
export function runProgram(words: readonly string[], options: ProgramOptions = {}): Promise<ProgramResult> {
  return new Promise((resolve, reject) => {
    const [program = "", ...args] = words;
    const child = spawn(program, args, {
      env: options.env ?? process.env,
      signal: options.signal,
      stdio: ["pipe", "pipe", "pipe"],
    });
    const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
    child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
    // A program may end before it has read everything.
    child.stdin.on("error", () => undefined);
    child.stdin.end(options.input ?? "");
    child.once("error", reject);
    child.once("close", (code, signal) => {
      resolve({
        code: code ?? exitCodeOf(signal),
        stdout: Buffer.concat(stdout).toString("utf8"),
        stderr: Buffer.concat(stderr).toString("utf8"),
      });
    });
  });
}

/** What a shell says of a program that a signal has ended. */
export function exitCodeOf(signal: NodeJS.Signals | null): number {
  return signal === "SIGINT" ? 130 : 137;
}
