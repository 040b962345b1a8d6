/**
 * Starts the node agent of one cluster: `node src/lab/node-agent/main.ts <config.json>`, inside the cluster's network namespace,
 * as (mapped) root. Lines of JSON on stderr say what it does. SIGTERM ends it and everything it started.
 */
import { readFileSync } from "node:fs";
import { parseNodeAgentConfig } from "./parse-config.ts";
import { startNodeAgent, type Report } from "./node-agent.ts";

const report: Report = (message, fields) => {
  process.stderr.write(`${JSON.stringify({ time: new Date().toISOString(), message, ...fields })}\n`);
};

/** A bug in one Pod's code must not take the others' processes along, so it is told and survived. */
process.on("unhandledRejection", (error) => {
  report("unhandled rejection", {
    error: error instanceof Error ? (error.stack ?? error.message) : String(error),
  });
});

const [, , file] = process.argv;
if (file === undefined) {
  process.stderr.write("usage: node src/lab/node-agent/main.ts <config.json>\n");
  process.exit(2);
}
const agent = await startNodeAgent(
  parseNodeAgentConfig(JSON.parse(readFileSync(file, "utf8")) as unknown),
  report,
);
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.once(signal, () => {
    void agent.stop().finally(() => process.exit(0));
  });
}
