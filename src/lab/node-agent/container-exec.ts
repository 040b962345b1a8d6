/**
 * How a command joins a running container: the words that enter its namespaces with its environment, user and privileges.
 */
import { launchWords, type ContainerUser } from "./container-script.ts";
import { execute } from "./run-command.ts";

/** A container that runs. */
export interface RunningContainer {
  readonly pid: number;
  readonly environment: Readonly<Record<string, string>>;
  readonly workingDir: string;
  readonly user: ContainerUser;
  readonly capabilities: readonly string[];
}

/** The whole command line, for spawn. */
export function execWords(
  { pid, environment, workingDir, user, capabilities }: RunningContainer,
  command: readonly string[],
): string[] {
  const enter = [
    "nsenter",
    "-t",
    String(pid),
    ...(user.uid === 0 ? [] : ["--preserve-credentials", "-U"]),
    "-m",
    "-u",
    "-i",
    "-n",
    "-p",
    "--",
  ];
  if (user.uid === 0)
    return [...enter, ...launchWords({ user, capabilities, environment, workingDir, command })];
  // Inside the container's own user namespace everything but the bounding set is gone by the change of user.
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  return [
    ...enter,
    "env",
    "-i",
    "-C",
    workingDir,
    ...variables,
    "setpriv",
    "--inh-caps=-all",
    "--no-new-privs",
    "--",
    ...command,
  ];
}

/** Runs a command in a container to its end; output and errors together. */
export async function execInContainer(
  container: RunningContainer,
  command: readonly string[],
  timeoutMs: number,
): Promise<{ exitCode: number; output: string }> {
  const { exitCode, stdout, stderr } = await execute(execWords(container, command), { timeoutMs });
  return { exitCode, output: stdout + stderr };
}
