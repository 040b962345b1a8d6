/** Long-lived programs of a benchmark: each dies with the process that started it, and tells what it costs. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { memory } from "./cluster.ts";
import type { Memory } from "./cluster.ts";

/** A program that runs. */
export class Program {
  readonly #name: string;
  readonly #log: string;
  readonly #child: ChildProcess;

  /** Output goes to the end of the file `log`. */
  constructor(
    words: readonly string[],
    {
      name,
      log,
      env = {},
    }: { readonly name: string; readonly log: string; readonly env?: NodeJS.ProcessEnv },
  ) {
    this.#name = name;
    this.#log = log;
    const output = openSync(log, "a");
    this.#child = spawn("setpriv", ["--pdeathsig", "KILL", ...words], {
      env: { ...process.env, ...env },
      stdio: ["ignore", output, output],
    });
    closeSync(output);
    this.#child.on("error", () => undefined);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Throws with the end of what it said if it has ended. */
  mustRun(): void {
    if (this.#child.exitCode === null && this.#child.signalCode === null && this.pid !== 0) return;
    throw new Error(`${this.#name} has ended: ${readFileSync(this.#log, "utf8").slice(-2000)}`);
  }

  /** Milliseconds of CPU that all of its threads have used; the kernel counts in hundredths of a second. */
  cpuMs(): number {
    const stat = readFileSync(`/proc/${this.pid}/stat`, "utf8");
    // The name in parentheses may hold anything; user and system time are the 14th and 15th field.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) * 10;
  }

  memory(): Memory {
    const found = memory(this.pid);
    if (found === undefined) throw new Error(`${this.#name} has no memory: it has ended`);
    return found;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null || this.pid === 0) return;
    const gone = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await gone;
  }
}
