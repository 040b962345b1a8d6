/**
 * The command line: which commands there are, and how a failure is told. What a command does is in commands/, loaded only when it is called,
 * so that `mcwan --help` and each command start without the others' libraries.
 */
import { Command, CommanderError } from "commander";
import { UsageError } from "../model/errors.ts";

/** The commands by name: what `mcwan --help` says of them, and what adds them to the program. */
const commands: Readonly<
  Record<string, readonly [description: string, add: (program: Command) => Promise<void>]>
> = {
  lab: [
    "Run whole clusters on this machine, without Docker and without root",
    async (program) => {
      (await import("./commands/lab.ts")).registerLab(program);
    },
  ],
  controller: [
    "Run the controller of one cluster",
    async (program) => {
      (await import("./commands/controller.ts")).registerController(program);
    },
  ],
  join: [
    "Make clusters peers of each other",
    async (program) => {
      (await import("./commands/membership.ts")).registerJoin(program);
    },
  ],
  leave: [
    "Undo a join",
    async (program) => {
      (await import("./commands/membership.ts")).registerLeave(program);
    },
  ],
  status: [
    "Show the clusters, their peers, and what is wrong",
    async (program) => {
      (await import("./commands/status.ts")).registerStatus(program);
    },
  ],
  echo: [
    "Run the workload of examples and tests",
    async (program) => {
      (await import("./commands/echo.ts")).registerEcho(program);
    },
  ],
  probe: [
    "Send requests and tell how they went",
    async (program) => {
      (await import("./commands/probe.ts")).registerProbe(program);
    },
  ],
};

async function main(words: readonly string[]): Promise<void> {
  const program = new Command("mcwan")
    .description("Multi-cluster SD-WAN gateway controller for Kubernetes")
    .exitOverride()
    .showHelpAfterError("(--help tells more)")
    .enablePositionalOptions();
  const called = words[0] === "help" ? words[1] : words[0];
  for (const [name, [description, add]] of Object.entries(commands)) {
    if (called === name) await add(program);
    else program.command(name).description(description);
  }
  await program.parseAsync(words, { from: "user" });
}

/** One line for what a person can mend, a stack for a bug of ours. Gives the exit code. */
function tell(error: unknown): number {
  // commander has said it already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof UsageError) {
    process.stderr.write(`mcwan: ${error.message}\n`);
    return 2;
  }
  const debug = (process.env["MCWAN_DEBUG"] ?? "") !== "";
  const text =
    error instanceof Error ? (debug ? (error.stack ?? error.message) : error.message) : String(error);
  process.stderr.write(`mcwan: ${text}\n`);
  return 1;
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  // What the command had begun before it failed, as a server, must not keep the process alive.
  process.exit(tell(error));
}
