/** Fills the cache of the lab's programs: `node scripts/fetch-binaries.ts [name…]`, by default all but those of benchmarks. Paths go to standard output, progress to standard error. */

import {
  binaryNames,
  obtainBinaries,
  usualBinaryNames,
  type BinaryName,
} from "../src/lab/binaries/binaries.ts";
import { UsageError } from "../src/model/errors.ts";

const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => {
    stop.abort(new UsageError(`stopped by ${signal}; the next run goes on from here`));
  });

try {
  const paths = await obtainBinaries(chosen(process.argv.slice(2)), {
    progress: (line) => process.stderr.write(`${line}\n`),
    signal: stop.signal,
  });
  for (const [name, path] of Object.entries(paths)) process.stdout.write(`${name}\t${path}\n`);
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 2;
}

function chosen(names: readonly string[]): readonly BinaryName[] {
  const known = (name: string): name is BinaryName => (binaryNames as readonly string[]).includes(name);
  const unknown = names.filter((name) => !known(name));
  if (unknown.length > 0)
    throw new UsageError(`unknown: ${unknown.join(", ")}; there are ${binaryNames.join(", ")}`);
  return names.length === 0 ? usualBinaryNames : names.filter(known);
}
