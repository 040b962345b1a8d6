/** Runs one of the bench programs as a client in a cluster of the lab: a Pod's network, the host's files. */
import { join } from "node:path";
import type { Lab } from "../src/lab/lab.ts";

export interface InsideProgram {
  readonly cluster: string;
  /** Its file in this folder. */
  readonly program: string;
  readonly signal: AbortSignal;
}

/** Gives it the task as JSON and its result back. */
export async function runInside<Result>(
  lab: Lab,
  { cluster, program, signal }: InsideProgram,
  task: unknown,
): Promise<Result> {
  const { code, stdout, stderr } = await lab.runAsClient(
    cluster,
    [process.execPath, join(import.meta.dirname, program)],
    {
      input: JSON.stringify(task),
      signal,
    },
  );
  if (code !== 0) throw new Error(`${program} failed (${code}): ${stderr.trim().slice(-2000)}`);
  return JSON.parse(stdout) as Result;
}
