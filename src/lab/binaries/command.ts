/** Runs a program to its end, line by line. It never goes through a shell and never changes this process's environment. */

import { spawn } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";

/** How a program is run; everything is optional. */
export interface CommandOptions {
  readonly cwd?: string | undefined;
  /** Laid over this process's environment; undefined removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Gets every line of the error output as it comes. */
  readonly onErrorLine?: ((line: string) => void) | undefined;
}

/** A program that ended with another code than 0, or that could not be started. Its message is one line. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  /** The last lines of its error output. */
  readonly errorLines: readonly string[];
  constructor(message: string, options: { errorLines?: readonly string[]; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.errorLines = options.errorLines ?? [];
  }
}

const keptErrorLines = 40;

/**
 * Runs a program and gives its standard output.
 * @throws CommandError naming the program and the last line of its error output; the signal's reason when aborted.
 */
export async function run(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  options.signal?.throwIfAborted();
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
    signal: options.signal,
  });
  const output: Buffer[] = [];
  const errorLines: string[] = [];
  child.stdout.on("data", (chunk: Buffer) => output.push(chunk));
  createInterface({ input: child.stderr }).on("line", (line) => {
    errorLines.push(line);
    if (errorLines.length > keptErrorLines) errorLines.shift();
    options.onErrorLine?.(line);
  });
  return await new Promise((resolve, reject) => {
    child.once("error", (cause) => {
      reject(new CommandError(`${program}: ${cause.message}`, { cause }));
    });
    child.once("close", (code, signal) => {
      if (options.signal?.aborted === true)
        reject(new CommandError(`${program} was stopped`, { cause: options.signal.reason }));
      else if (code === 0) resolve(Buffer.concat(output).toString("utf8"));
      else {
        const said = errorLines.findLast((line) => line.trim() !== "") ?? "no message";
        reject(
          new CommandError(
            `${program} ${args[0] ?? ""} ended with ${signal ?? `code ${code ?? "?"}`}: ${said.trim()}`,
            { errorLines },
          ),
        );
      }
    });
  });
}

/** Whether a path is a file that this user may execute. */
export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** Where a program is: PATH first, then the folders of system tools that an ordinary user's PATH often lacks. */
export function findOnPath(program: string): string | undefined {
  const folders = [
    ...(process.env["PATH"] ?? "").split(delimiter),
    "/usr/local/sbin",
    "/usr/sbin",
    "/sbin",
    "/usr/bin",
    "/bin",
  ];
  return folders
    .filter((folder) => folder !== "")
    .map((folder) => join(folder, program))
    .find(isExecutable);
}
