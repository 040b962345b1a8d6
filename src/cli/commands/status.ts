/** `mcwan status`: the clusters, their peers, and what is wrong with the command that looks closer. */
import { setTimeout as sleep } from "node:timers/promises";
import { Option, type Command } from "commander";
import { connect } from "../../clusterset/open-members.ts";
import { clusterStatus, isGood, type ClusterStatus, type Share } from "../../clusterset/status.ts";
import { plainTable } from "./plain-table.ts";
import { numberOption } from "./whole-number.ts";

interface Options {
  readonly kubeconfig?: string;
  readonly wait?: boolean;
  readonly timeout: number;
  readonly output: "table" | "json";
}

/** Adds `mcwan status`. */
export function registerStatus(program: Command): void {
  program
    .command("status")
    .description("Show clusters, peers, policies, exports and imports, and what is wrong with them")
    .argument("<contexts...>", "contexts of the kubeconfig, one for each cluster")
    .option("--kubeconfig <file>", "another kubeconfig than kubectl's own")
    .option("--wait", "look again until all is well")
    .option(
      "--timeout <seconds>",
      "how long to wait, or for an answer",
      numberOption({ min: 1, max: 3600 }),
      120,
    )
    .addOption(
      new Option("-o, --output <format>", "for people or for machines")
        .choices(["table", "json"])
        .default("table"),
    )
    .addHelpText("after", "\nThe exit code is 0 if all is well, 1 if something is wrong, 2 for wrong usage.")
    .action(async (contexts: string[], options: Options) => {
      await status(contexts, options);
    });
}

async function status(contexts: readonly string[], options: Options): Promise<void> {
  const signal = AbortSignal.timeout(options.timeout * 1000);
  const open = await connect(contexts, options.kubeconfig);
  try {
    let clusters = await look();
    let told = -1;
    while (options.wait === true && !clusters.every(isGood) && !signal.aborted) {
      const problems = clusters.reduce((sum, cluster) => sum + cluster.problems.length, 0);
      if (problems !== told) process.stderr.write(`waits: ${problems} problems\n`);
      told = problems;
      await sleep(1000);
      clusters = await look();
    }
    const isAllGood = clusters.every(isGood);
    const json = JSON.stringify({ good: isAllGood, clusters }, undefined, 2);
    process.stdout.write(`${options.output === "json" ? json : textOf(clusters)}\n`);
    if (!isAllGood) process.exitCode = 1;
  } finally {
    await open.close();
  }

  async function look(): Promise<readonly ClusterStatus[]> {
    // Each look has time of its own, so that the last one can still be told.
    const limit = AbortSignal.timeout(Math.min(30, options.timeout) * 1000);
    return await Promise.all(open.clusters.map((cluster) => clusterStatus(cluster, limit)));
  }
}

/** Tables for people. */
export function textOf(clusters: readonly ClusterStatus[]): string {
  const overview = plainTable([
    "CLUSTER",
    "CONTEXT",
    "CONTROLLER",
    "POLICIES",
    "EXPORTS",
    "IMPORTS",
    "RULES",
    "PEERS",
  ]);
  const peers = plainTable(["CLUSTER", "PEER", "STATE", "SINCE"]);
  const problems: string[] = [];
  for (const each of clusters) {
    const { cluster, context, controller, policies, exports, imports, rules } = each;
    const synced = each.peers.filter(({ state }) => state === "Synced").length;
    overview.push([
      cluster ?? "",
      context,
      ...[controller, policies, exports, imports, rules].map(shareText),
      shareText({ good: synced, all: each.peers.length }),
    ]);
    for (const { cluster: peer, state, since } of each.peers)
      peers.push([cluster ?? context, peer, state, since ?? ""]);
    for (const { object, type, reason, message, next } of each.problems)
      problems.push(`${cluster ?? context}: ${object}: ${type}, ${reason}: ${message}\n    ${next}`);
  }
  return [
    overview.toString(),
    ...(peers.length === 0 ? [] : [peers.toString()]),
    problems.length === 0 ? "nothing is wrong" : problems.join("\n"),
  ].join("\n\n");
}

const shareText = ({ good, all }: Share): string => `${good}/${all}`;
