/**
 * A lock between processes: one file, linked into place whole, that names its holder.
 * A holder that died, by kill -9 too, is found out and succeeded. The lock saves double work; that a cache entry is
 * never half written is not its task but that of the rename in `cache.ts`.
 */

import { randomUUID } from "node:crypto";
import {
  closeSync,
  futimesSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const pollMs = 250;
const heartbeatMs = 5_000;
/** A holder that we can't look up (another machine, another PID namespace) is dead when it was silent for so long. */
const silentMs = 60_000;

interface Holder {
  readonly pid: number;
  /** Clock ticks from boot to the start of the process: tells a process from a later one with the same pid. */
  readonly started: string;
  /** Boot and PID namespace: pids mean something only within one. */
  readonly pidScope: string;
  readonly nonce: string;
}

/** How to wait for a lock. */
export interface LockOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called once when another process holds the lock, with its pid. */
  readonly onWait?: ((pid: number) => void) | undefined;
}

/**
 * Runs `work` while holding the lock file `path`, waiting for it as long as it takes.
 * @throws whatever `work` throws; the signal's reason when aborted while waiting.
 */
export async function withLock<T>(
  path: string,
  work: () => Promise<T>,
  options: LockOptions = {},
): Promise<T> {
  mkdirSync(dirname(path), { recursive: true });
  const mine = `${path}.${randomUUID()}`;
  const holder: Holder = {
    pid: process.pid,
    started: startOf(process.pid) ?? "",
    pidScope: pidScope(),
    nonce: mine,
  };
  writeFileSync(mine, JSON.stringify(holder));
  try {
    let waited = false;
    for (let other = acquire(path, mine); other !== undefined; other = acquire(path, mine)) {
      if (!waited) options.onWait?.(other.pid);
      waited = true;
      await sleep(pollMs, undefined, { signal: options.signal });
    }
    const heart = setInterval(() => {
      beat(mine);
    }, heartbeatMs);
    heart.unref();
    try {
      return await work();
    } finally {
      clearInterval(heart);
      if (read(path)?.nonce === mine) rmSync(path, { force: true });
    }
  } finally {
    rmSync(mine, { force: true });
  }
}

/** Takes the lock, or gives its living holder. The lock is a hard link to `mine`, so it appears with its content. */
function acquire(path: string, mine: string): Holder | undefined {
  if (link(mine, path)) return undefined;
  const other = read(path);
  // Unreadable: released just now (gone), or damaged; a damaged one is succeeded like a dead holder's.
  if (other === undefined && ageMs(path) < silentMs) return { pid: 0, started: "", pidScope: "", nonce: "" };
  if (other !== undefined && alive(other, path)) return other;
  return succeed(path, mine, other);
}

/** Replaces a dead holder's lock. Only one process at a time may: the one whose link to `<lock>.heir` succeeds. */
function succeed(path: string, mine: string, dead: Holder | undefined): Holder | undefined {
  const heir = `${path}.heir`;
  if (!link(mine, heir)) {
    const rival = read(heir);
    if (rival === undefined || !alive(rival, heir)) rmSync(heir, { force: true });
    return rival ?? dead;
  }
  try {
    // Another heir may have finished between our reading and our link: then its lock is alive and stays.
    const now = read(path);
    if (now !== undefined && now.nonce !== dead?.nonce) return now;
    const taken = `${mine}.taken`;
    linkSync(mine, taken);
    renameSync(taken, path);
    // Its own name for the lock, which it could not remove any more.
    if (dead?.nonce.startsWith(`${path}.`) === true) rmSync(dead.nonce, { force: true });
    return undefined;
  } finally {
    rmSync(heir, { force: true });
  }
}

function alive(holder: Holder, path: string): boolean {
  if (holder.pidScope !== pidScope()) return ageMs(path) < silentMs;
  return startOf(holder.pid) === holder.started;
}

function link(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

function read(path: string): Holder | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    if (typeof value !== "object" || value === null) return undefined;
    const { pid, started, pidScope: scope, nonce } = value as Partial<Record<keyof Holder, unknown>>;
    if (
      typeof pid !== "number" ||
      typeof started !== "string" ||
      typeof scope !== "string" ||
      typeof nonce !== "string"
    )
      return undefined;
    return { pid, started, pidScope: scope, nonce };
  } catch {
    return undefined;
  }
}

/** Field 22 of /proc/<pid>/stat, counted behind the program's name, which may hold spaces; undefined when the process is gone or a zombie. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

function pidScope(): string {
  return `${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()} ${readlinkSync("/proc/self/ns/pid")}`;
}

/** Milliseconds since the holder's last sign of life; 0 when the file is gone. */
function ageMs(path: string): number {
  try {
    return Date.now() - statSync(path).mtimeMs;
  } catch {
    return 0;
  }
}

/** The lock is a link to `mine`: touching one touches both. */
function beat(mine: string): void {
  try {
    const file = openSync(mine, "r+");
    const now = new Date();
    futimesSync(file, now, now);
    closeSync(file);
  } catch {
    // The cache folder was removed under us: the work will say so itself.
  }
}
