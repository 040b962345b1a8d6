/**
 * `mcwan lab link`: shows the links of a lab that is up, and changes them: quality, cut, healed, one direction or both. Only words in and words
 * out; what a link is, is in src/lab.
 */
import { InvalidArgumentError, type Command } from "commander";
import type { Lab } from "../../lab/lab.ts";
import type { TunnelQuality } from "../../lab/lab-plan.ts";
import type { LinkChange, LinkSelector } from "../../lab/sdwan/link-change.ts";
import { parseQuality } from "../../lab/tunnel-option.ts";
import { linksTable, notAppliedLines } from "./lab-tables.ts";
import { print, withOutput, type OutputOptions } from "./output-option.ts";

interface ChangeOptions extends OutputOptions {
  readonly between?: readonly [string, string];
  readonly from?: string;
  readonly to?: string;
}

/** Adds `link` to `mcwan lab`. `current` gives the lab that is up, or throws what is to be said. */
export function registerLabLink(lab: Command, current: () => Promise<Lab>): void {
  const link = lab
    .command("link")
    .description("show the links between clusters, and change them while the lab is up");
  link.addHelpText(
    "after",
    `
A link is a tunnel's name, or control-plane: the links between API servers.
  mcwan lab link set business delay=50,loss=1            every link of the tunnel, both directions
  mcwan lab link cut business --between c1,c2            between two clusters
  mcwan lab link cut control-plane --from c1 --to c2     one direction
  mcwan lab link reset                                   all links as at \`mcwan lab up\`
Exit code 1: something could not be applied.`,
  );
  withOutput(link.command("list", { isDefault: true }).description("every direction of every link")).action(
    async ({ output }: OutputOptions) => {
      const { directions } = await (await current()).links();
      print(output === "json" ? JSON.stringify(directions, undefined, 2) : linksTable(directions));
    },
  );
  const change = async (selector: LinkSelector, wanted: LinkChange, output: string): Promise<void> => {
    const meant = await (await current()).changeLinks(selector, wanted);
    print(output === "json" ? JSON.stringify(meant, undefined, 2) : linksTable(meant));
    const missing = notAppliedLines(meant);
    if (missing.length === 0) return;
    process.stderr.write(`${missing.map((line) => `mcwan: ${line}`).join("\n")}\n`);
    process.exitCode = 1;
  };
  withSelector(
    link
      .command("set")
      .description("change the quality; what isn't named stays, and 0 takes a limit away")
      .argument("<link>", "a tunnel, or control-plane")
      .argument(
        "<quality>",
        "rate=<Mbit/s>,delay=<ms>,jitter=<ms>,loss=<%>: those that are to change",
        quality,
      ),
  ).action(async (name: string, wanted: TunnelQuality, options: ChangeOptions) => {
    await change(selectorOf(name, options), { quality: wanted }, options.output);
  });
  withSelector(
    link
      .command("cut")
      .description("let all packets vanish, without a word to their senders")
      .argument("<link>", "a tunnel, or control-plane"),
  ).action(async (name: string, options: ChangeOptions) => {
    await change(selectorOf(name, options), { cut: true }, options.output);
  });
  withSelector(
    link
      .command("heal")
      .description("undo a cut")
      .argument("[link]", "a tunnel, or control-plane (default: all)"),
  ).action(async (name: string | undefined, options: ChangeOptions) => {
    await change(selectorOf(name, options), { cut: false }, options.output);
  });
  withSelector(
    link
      .command("reset")
      .description("undo cuts and changes: as at `mcwan lab up`")
      .argument("[link]", "a tunnel, or control-plane (default: all)"),
  ).action(async (name: string | undefined, options: ChangeOptions) => {
    await change(selectorOf(name, options), { reset: true }, options.output);
  });
}

function withSelector(command: Command): Command {
  return withOutput(command)
    .option("--between <a,b>", "only between these two clusters", pair)
    .option("--from <cluster>", "only the direction that leaves this cluster")
    .option("--to <cluster>", "only the direction that reaches this cluster");
}

function selectorOf(link: string | undefined, { between, from, to }: ChangeOptions): LinkSelector {
  return { link, between, from, to };
}

function pair(value: string): readonly [string, string] {
  const [one = "", other = "", ...more] = value.split(",").map((id) => id.trim());
  if (one === "" || other === "" || more.length > 0)
    throw new InvalidArgumentError("it is two clusters, as c1,c2.");
  return [one, other];
}

function quality(value: string): TunnelQuality {
  const parsed = parseQuality(value.split(","));
  if (typeof parsed === "string") throw new InvalidArgumentError(parsed);
  return parsed;
}
