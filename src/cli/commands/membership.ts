/** `mcwan join` and `mcwan leave`: words in and words out; what they do is in src/clusterset. */
import { InvalidArgumentError, Option, type Command } from "commander";
import { stringify } from "yaml";
import { join, type Step } from "../../clusterset/join.ts";
import { leave, type Left } from "../../clusterset/leave.ts";
import { nameOf } from "../../clusterset/findings.ts";
import { openMembers, type MemberChoice, type OpenMembers } from "../../clusterset/open-members.ts";
import { plainTable } from "./plain-table.ts";
import { numberOption } from "./whole-number.ts";

interface Options {
  readonly kubeconfig?: string;
  readonly id?: Readonly<Record<string, string>>;
  readonly server?: Readonly<Record<string, string>>;
  readonly dryRun?: boolean;
  readonly rotate?: boolean;
  readonly replace?: boolean;
  readonly reveal?: boolean;
  readonly wait: number;
  readonly output: "table" | "yaml" | "json";
}

/** Adds `mcwan join`. */
export function registerJoin(program: Command): void {
  withCommon(program.command("join"))
    .description(
      "Make clusters peers of each other: an account that may read at each, a Secret at the others",
    )
    .option(
      "--server <context=url>",
      "where peers reach the API server, if not where the kubeconfig does; may be repeated",
      keyValue,
    )
    .option("--rotate", "replace the accounts' tokens by new ones")
    .option("--replace", "let a peer lead to another server than before")
    .option("--reveal", "print credentials in -o yaml and -o json instead of leaving them out")
    .action(async (contexts: string[], options: Options) => {
      await run(contexts, options, async ({ members }, { step, signal }) => {
        await join(members, {
          isDryRun: options.dryRun === true,
          rotate: options.rotate === true,
          replace: options.replace === true,
          step,
          signal,
        });
        return [];
      });
    });
}

/** Adds `mcwan leave`. */
export function registerLeave(program: Command): void {
  withCommon(program.command("leave"))
    .description("Undo a join of the same clusters, and see that nothing of it is left")
    .option(
      "--wait <seconds>",
      "how long to wait until the controllers have taken away what came from the others",
      numberOption({ min: 0, max: 3600 }),
      60,
    )
    .action(async (contexts: string[], options: Options) => {
      await run(contexts, options, ({ members }, { step, signal }) =>
        leave(members, {
          isDryRun: options.dryRun === true,
          waitMs: options.wait * 1000,
          waiting: (count) => {
            process.stderr.write(`waits for the controllers: ${count} objects are left\n`);
          },
          step,
          signal,
        }),
      );
    });
}

function withCommon(command: Command): Command {
  return command
    .argument("<contexts...>", "contexts of the kubeconfig, one for each cluster")
    .option("--kubeconfig <file>", "another kubeconfig than kubectl's own")
    .option(
      "--id <context=id>",
      "the cluster's id, where it has no ClusterProperty; may be repeated",
      keyValue,
    )
    .option("--dry-run", "change nothing; say what would be done")
    .addOption(
      new Option("-o, --output <format>", "a line for each object, or the objects")
        .choices(["table", "yaml", "json"])
        .default("table"),
    );
}

interface Work {
  readonly step: (step: Step) => void;
  readonly signal: AbortSignal;
}

async function run(
  contexts: readonly string[],
  options: Options,
  work: (open: OpenMembers, how: Work) => Promise<readonly Left[]>,
): Promise<void> {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.once(signal, () => {
      stop.abort(new Error("interrupted"));
    });
  const choice: MemberChoice = {
    contexts,
    kubeconfig: options.kubeconfig,
    ids: options.id ?? {},
    servers: options.server ?? {},
  };
  const open = await openMembers(choice);
  const steps: Step[] = [];
  try {
    const left = await work(open, { step: (step) => steps.push(step), signal: stop.signal });
    process.stdout.write(`${textOf(steps, left, options)}\n`);
    for (const { context, cluster, object } of left)
      process.stderr.write(`mcwan: left at ${context} of ${cluster}: ${nameOf(object)}\n`);
    if (left.length > 0) {
      process.stderr.write(
        "mcwan: a controller takes these away: see that it runs (kubectl get deployment -n mc-wan-system mc-wan-controller), then leave again\n",
      );
      process.exitCode = 1;
    }
  } finally {
    await open.close();
  }
}

function textOf(steps: readonly Step[], left: readonly Left[], options: Options): string {
  const { output, dryRun = false } = options;
  const shown = steps.map(({ object, ...rest }) => ({
    ...rest,
    object: options.reveal === true ? object : withoutCredentials(object),
  }));
  switch (output) {
    case "yaml":
      return shown
        .map(({ context, verb, object }) => `# context: ${context} (${verb})\n${stringify(object).trimEnd()}`)
        .join("\n---\n");
    case "json":
      return JSON.stringify({ dryRun, steps: shown, left }, undefined, 2);
    case "table":
      return tableOf(steps, dryRun);
  }
}

function tableOf(steps: readonly Step[], dryRun: boolean): string {
  if (steps.length === 0) return "there was nothing to do";
  const table = plainTable(["CONTEXT", dryRun ? "WOULD" : "DONE", "OBJECT"]);
  for (const { context, verb, object } of steps) table.push([context, verb, nameOf(object)]);
  return table.toString();
}

/** Of Secrets, all but what is in them. */
function withoutCredentials(object: Step["object"]): Step["object"] {
  if (object["data"] === undefined) return object;
  return { ...object, data: { kubeconfig: "<left out: --reveal prints it>" } };
}

function keyValue(
  value: string,
  before?: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  // A context may hold an equals sign, an id or a server may not.
  const at = value.lastIndexOf("=");
  if (at < 1 || at === value.length - 1) throw new InvalidArgumentError("it is <context>=<value>.");
  return { ...before, [value.slice(0, at)]: value.slice(at + 1) };
}
