#!/usr/bin/env node
/**
 * The `mcwan` program: plain JavaScript, so that an older Node can read it. It hands over to main.ts, under the Node that came with the
 * package where this one can't run TypeScript as it is.
 */
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const main = new URL("./main.ts", import.meta.url);
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);

if (major > 24 || (major === 24 && minor >= 12)) {
  await import(main.href);
} else {
  const node = packagedNode();
  if (node === undefined) {
    process.stderr.write(
      `mcwan: needs Node 24.12 or newer, this is ${process.version}, and none came with the package: run npm ci\n`,
    );
    process.exit(2);
  }
  const child = spawn(node, [...process.execArgv, fileURLToPath(main), ...process.argv.slice(2)], {
    stdio: "inherit",
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"])
    process.on(signal, () => signal !== "SIGINT" && child.kill(signal));
  child.on("error", (error) => {
    process.stderr.write(`mcwan: ${node}: ${error.message}\n`);
    process.exit(2);
  });
  child.on("close", (code, signal) => {
    process.exit(code ?? (signal === "SIGINT" ? 130 : 143));
  });
}

/** The program of the optional package for this machine, or undefined where it was not installed. */
function packagedNode() {
  try {
    const manifest = createRequire(import.meta.url).resolve(
      `node-${process.platform}-${process.arch}/package.json`,
    );
    return join(dirname(manifest), "bin", "node");
  } catch {
    return undefined;
  }
}
