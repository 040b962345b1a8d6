/**
 * `mcwan echo`: the workload of examples and tests. It says who answers, as a Service's Pods do not.
 *
 *     SIGTERM → /readyz fails → delay → no new connections → what was begun is finished → exit 0
 */
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import { UsageError } from "../../model/errors.ts";
import { createEchoServer } from "./echo-server.ts";
import { numberOption } from "./whole-number.ts";

interface EchoOptions {
  readonly port: number;
  readonly address: string;
  readonly cluster: string;
  readonly drainMs: number;
  readonly limitMs: number;
}

/** Adds the command. */
export function registerEcho(program: Command): void {
  const environment = process.env;
  program
    .command("echo")
    .description(
      "Run an HTTP server that answers with what it received and who it is: the workload of examples and tests",
    )
    .option("--port <port>", "port to listen on", numberOption({ min: 0, max: 65535 }), 8080)
    .option("--address <address>", "address to listen on", "0.0.0.0")
    .option(
      "--cluster <name>",
      "name of the cluster in answers (default: $CLUSTER, else from $NODE_NAME)",
      environment["CLUSTER"] ?? clusterOfNode(environment["NODE_NAME"] ?? "unknown"),
    )
    .option(
      "--drain-ms <milliseconds>",
      "how long it goes on accepting after SIGTERM, not ready any more",
      numberOption({ min: 0, max: 600_000 }),
      3000,
    )
    .option(
      "--limit-ms <milliseconds>",
      "how long requests may then take to finish",
      numberOption({ min: 0, max: 600_000 }),
      15_000,
    )
    .action(async (options: EchoOptions) => {
      await echo(options);
    });
}

/** A node is named after its cluster in the lab (`c1-node`) and in kind (`c1-control-plane`, `c1-worker2`). */
export function clusterOfNode(node: string): string {
  return node.replace(/-(node|control-plane|worker\d*)$/, "");
}

/** Serves until SIGTERM or SIGINT and then leaves in order; a second signal ends it at once. */
async function echo(options: EchoOptions): Promise<void> {
  const echoServer = createEchoServer({
    cluster: options.cluster,
    namespace: process.env["POD_NAMESPACE"] ?? "",
    pod: process.env["POD_NAME"] ?? "",
  });
  const { server } = echoServer;
  server.listen(options.port, options.address);
  await once(server, "listening").catch((cause: unknown) => {
    throw new UsageError(
      `can't listen on ${options.address}:${options.port}: choose others with --port and --address`,
      { cause },
    );
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : options.port;
  process.stdout.write(`listening on ${options.address}:${port}\n`);

  await Promise.race([once(process, "SIGTERM"), once(process, "SIGINT")]);
  const quit = (): never => process.exit(1);
  process.once("SIGTERM", quit).once("SIGINT", quit);
  echoServer.leave();
  await sleep(options.drainMs);
  await echoServer.finish(options.limitMs);
  process.off("SIGTERM", quit).off("SIGINT", quit);
}
