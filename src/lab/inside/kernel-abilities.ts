/** What this kernel can do for a lab, tried where nobody is disturbed. */
import { run } from "../node-agent/run-command.ts";

/** Why this kernel has no netem; undefined: it has. `netns` is a namespace whose `lo` nobody needs for the moment. */
export async function netemFailure(netns: string): Promise<string | undefined> {
  const failure = await failureOf(
    run(["tc", "-n", netns, "qdisc", "add", "dev", "lo", "root", "netem", "delay", "0ms"]),
  );
  if (failure === undefined) await run(["tc", "-n", netns, "qdisc", "del", "dev", "lo", "root"]);
  return failure === undefined ? undefined : `the kernel has no netem (${failure})`;
}

/** The first line of why a command failed; undefined: it didn't. */
export async function failureOf(command: Promise<unknown>): Promise<string | undefined> {
  return await command.then(
    () => undefined,
    (error: unknown) =>
      error instanceof Error
        ? (error.message
            .split(/exit \d+: /)
            .at(-1)
            ?.split("\n")[0] ?? error.message)
        : String(error),
  );
}
