/**
 * The cache of binaries, outside the checkout: `$MCWAN_CACHE`, else `$XDG_CACHE_HOME/mc-wan`, else `~/.cache/mc-wan`.
 *
 *     <cache>/<name>/<version>-<os>-<cpu>/<name>     an entry; origin.json beside it says where it came from
 *     <cache>/staging/                               entries in the making
 *     <cache>/downloads/                             partial downloads, resumed by the next run
 *     <cache>/locks/
 *
 * An entry appears by one rename, whole or not at all, and never changes afterwards.
 */

import { createHash, randomUUID } from "node:crypto";
import { createReadStream, readFileSync, statSync } from "node:fs";
import { chmod, mkdir, open, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { isExecutable } from "./command.ts";

/** What an entry is: a program of a version, for this machine's system and processor. */
export interface Entry {
  readonly name: string;
  readonly version: string;
  /** The program inside of the entry's folder, by default the name itself. */
  readonly program?: string;
}

/** The cache folder; it may not exist yet. */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  const set = (value: string | undefined): value is string => value !== undefined && value !== "";
  if (set(env["MCWAN_CACHE"])) return env["MCWAN_CACHE"];
  if (set(env["XDG_CACHE_HOME"])) return join(env["XDG_CACHE_HOME"], "mc-wan");
  return join(homedir(), ".cache", "mc-wan");
}

/** The folder of an entry. */
export function entryFolder(entry: Entry): string {
  return join(cacheFolder(), entry.name, `${entry.version}-${process.platform}-${process.arch}`);
}

/** The file whose lock guards the making of an entry. */
export function entryLock(entry: Entry): string {
  return join(cacheFolder(), "locks", `${entry.name}-${entry.version}.lock`);
}

/** The program of an entry, if it is there, executable and as long as it was when it was put there; nothing is changed. */
export function findEntry(entry: Entry): string | undefined {
  const folder = entryFolder(entry);
  const program = join(folder, entry.program ?? entry.name);
  if (!isExecutable(program)) return undefined;
  try {
    const origin: unknown = JSON.parse(readFileSync(join(folder, "origin.json"), "utf8"));
    const size = typeof origin === "object" && origin !== null && "size" in origin ? origin.size : undefined;
    return size === statSync(program).size ? program : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Makes an entry: `fill` puts the program into a staging folder and says where it got it from; the folder then takes its place by a rename.
 * The caller holds the entry's lock, so whatever is left in staging for this name is a dead run's and is removed.
 */
export async function makeEntry(entry: Entry, fill: (folder: string) => Promise<string>): Promise<string> {
  const staging = join(cacheFolder(), "staging");
  await mkdir(staging, { recursive: true });
  const prefix = `${entry.name}-${entry.version}-`;
  for (const left of await readdir(staging))
    if (left.startsWith(prefix)) await rm(join(staging, left), { recursive: true, force: true });
  const folder = join(staging, `${prefix}${randomUUID()}`);
  await mkdir(folder);
  try {
    const source = await fill(folder);
    const program = join(folder, entry.program ?? entry.name);
    await chmod(program, 0o755);
    const { size } = await stat(program);
    const origin = {
      ...entry,
      source,
      size,
      sha256: await fileHash(program, "sha256"),
      made: new Date().toISOString(),
    };
    await writeFile(join(folder, "origin.json"), `${JSON.stringify(origin, undefined, 2)}\n`);
    await syncToDisk(program);
    await syncToDisk(join(folder, "origin.json"));
    await syncToDisk(folder);
    return await putInPlace(entry, folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function putInPlace(entry: Entry, folder: string): Promise<string> {
  const final = entryFolder(entry);
  await mkdir(join(cacheFolder(), entry.name), { recursive: true });
  // What stands there is broken, or findEntry had found it. A running program keeps its file.
  await rm(final, { recursive: true, force: true });
  await rename(folder, final);
  await syncToDisk(join(cacheFolder(), entry.name));
  return join(final, entry.program ?? entry.name);
}

/** Forces a file's or a folder's content to the disk, so that a power cut can't leave a name without content. */
export async function syncToDisk(path: string): Promise<void> {
  const file = await open(path, "r");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** A file's hash in hexadecimal. */
export async function fileHash(path: string, algorithm: "sha256" | "sha512"): Promise<string> {
  const hash = createHash(algorithm);
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}
