/**
 * A folder whose files change all at once, as the kubelet does it for ConfigMap, Secret and token volumes:
 * `key → ..data/key`, `..data → ..<time>/`. Readers see the old files or the new ones, never a mix.
 */
import { chmod, mkdir, readdir, readlink, rename, rm, symlink, unlink, writeFile } from "node:fs/promises";
import { dirname, join, sep } from "node:path";

/** A file of a volume. */
export interface VolumeFile {
  readonly data: Buffer;
  /** Permission bits. */
  readonly mode: number;
}

/** Whether two volumes hold the same. PURE. */
export function sameFiles(a: ReadonlyMap<string, VolumeFile>, b: ReadonlyMap<string, VolumeFile>): boolean {
  if (a.size !== b.size) return false;
  for (const [path, file] of a) {
    const other = b.get(path);
    if (other?.mode !== file.mode || !other.data.equals(file.data)) return false;
  }
  return true;
}

let written = 0;

/** Makes `folder` hold exactly `files`. Paths are relative and may hold slashes. */
export async function writeAtomicDirectory(
  folder: string,
  files: ReadonlyMap<string, VolumeFile>,
): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o755 });
  written += 1;
  const version = `..${new Date().toISOString().replace(/[:.]/g, "_")}.${written}`;
  await mkdir(join(folder, version), { mode: 0o755 });
  for (const [path, { data, mode }] of files) {
    const file = join(folder, version, path);
    await mkdir(dirname(file), { recursive: true, mode: 0o755 });
    await writeFile(file, data);
    await chmod(file, mode);
  }
  const current = join(folder, "..data");
  const before = await readlink(current).catch(() => undefined);
  await symlink(version, `${current}_tmp`);
  await rename(`${current}_tmp`, current);
  const names = new Set([...files.keys()].map((path) => path.split(sep)[0] ?? path));
  for (const name of names) await symlink(`..data/${name}`, join(folder, name)).catch(ifExists);
  if (before === undefined) return;
  const stale = new Set<string>();
  for (const name of await namesIn(join(folder, before))) if (!names.has(name)) stale.add(name);
  for (const name of stale) await unlink(join(folder, name)).catch(() => undefined);
  await rm(join(folder, before), { recursive: true, force: true });
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}

function ifExists(error: unknown): void {
  if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
}
