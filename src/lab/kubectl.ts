/** kubectl as a program: how the lab and the tests speak to clusters, by context only. Never reads the user's own kubeconfig. */
import { runProgram, type ProgramResult } from "./run-program.ts";

/** A kubectl that knows its kubeconfig. */
export interface Kubectl {
  /** Path of its kubeconfig. */
  readonly kubeconfig: string;
  /** Runs and gives what was printed; throws with kubectl's last line where it fails. */
  run(context: string, args: readonly string[], input?: string): Promise<string>;
  /** Runs and never throws for a non-zero exit. */
  attempt(context: string, args: readonly string[], input?: string): Promise<ProgramResult>;
  /** Runs with `-o json` and parses. */
  json(context: string, args: readonly string[]): Promise<unknown>;
}

/** A kubectl (path of the program) for a kubeconfig (path of the file). */
export function kubectl(program: string, kubeconfig: string): Kubectl {
  const attempt = (context: string, args: readonly string[], input?: string): Promise<ProgramResult> =>
    runProgram([program, "--kubeconfig", kubeconfig, "--context", context, ...args], { input });
  const run = async (context: string, args: readonly string[], input?: string): Promise<string> => {
    const { code, stdout, stderr } = await attempt(context, args, input);
    if (code !== 0)
      throw new Error(
        `kubectl --context ${context} ${args.join(" ")} failed (${code}): ${stderr.trim().slice(-2000)}`,
      );
    return stdout;
  };
  return {
    kubeconfig,
    attempt,
    run,
    json: async (context, args) => JSON.parse(await run(context, [...args, "-o", "json"])) as unknown,
  };
}
