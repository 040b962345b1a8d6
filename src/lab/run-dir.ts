/**
 * The run folder of a lab and the identity of the lab that lives in it. The folder is thrown away with the lab, so it must be the lab's own:
 * a folder with foreign files is refused, never cleared.
 */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { chmod, mkdir, readdir, realpath, rename, rm, rmdir, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { dirname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { UsageError } from "../model/errors.ts";
import { labFiles } from "./lab-plan.ts";

const MARKER = ".mc-wan-lab";

/** The run folder where none is named: `$MCWAN_RUN`, else `$XDG_RUNTIME_DIR/mc-wan`, else `/tmp/mc-wan-<uid>`. */
export function defaultRunDir(env: NodeJS.ProcessEnv = process.env): string {
  const set = (value: string | undefined): value is string => value !== undefined && value !== "";
  if (set(env["MCWAN_RUN"])) return resolve(env["MCWAN_RUN"]);
  if (set(env["XDG_RUNTIME_DIR"]) && existsSync(env["XDG_RUNTIME_DIR"]))
    return join(env["XDG_RUNTIME_DIR"], "mc-wan");
  return join(tmpdir(), `mc-wan-${userInfo().uid}`);
}

/** A process that can't be mistaken for another: a pid may be given again, with another start time. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks since boot, from /proc. */
  readonly startTime: string;
  /** Start times count from boot. */
  readonly bootId: string;
}

/** Makes the identity of a running process; undefined when there is none, or only its zombie. */
export function identify(pid: number): ProcessIdentity | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name in parentheses may hold anything; the state and the numbers come after its last parenthesis.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const startTime = fields[19];
    if (fields[0] === "Z" || fields[0] === "X" || startTime === undefined) return undefined;
    return { pid, startTime, bootId: readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim() };
  } catch {
    return undefined;
  }
}

/** Whether that very process still runs. */
export function isRunning(process: ProcessIdentity): boolean {
  const now = identify(process.pid);
  return now?.startTime === process.startTime && now.bootId === process.bootId;
}

/** The pids of a process's children. */
export function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
  } catch {
    // A kernel without CONFIG_PROC_CHILDREN, or no such process.
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name) && parentOf(name) === pid)
      .map(Number);
  }
}

/** Who the lab in a run folder is: the process that holds its namespaces. */
export interface LabState {
  readonly process: ProcessIdentity;
  /** ISO 8601. */
  readonly startedAt: string;
  /** Whether it came up; false while it does. */
  readonly ready: boolean;
}

/** The state in a run folder, whether its lab still lives or not; undefined when there is none. */
export function readState(runDir: string): LabState | undefined {
  try {
    const state = JSON.parse(readFileSync(labFiles(runDir).state, "utf8")) as Partial<LabState>;
    return state.process === undefined ? undefined : (state as LabState);
  } catch {
    return undefined;
  }
}

/** Writes the state in one step: a reader never sees half of it. */
export async function writeState(runDir: string, state: LabState): Promise<void> {
  const file = labFiles(runDir).state;
  await writeFile(`${file}.new`, JSON.stringify(state));
  await rename(`${file}.new`, file);
}

/** An empty run folder that only this user can look into. Throws UsageError when it holds what no lab has put there. */
export async function makeRunDir(runDir: string): Promise<void> {
  await makeFolder(runDir).catch((error: unknown) => {
    throw new UsageError(
      `the run folder ${runDir} can't be made (${error instanceof Error ? error.message : String(error)}): name another in MCWAN_RUN`,
    );
  });
  await clearRunDir(runDir);
  await chmod(runDir, 0o700);
  await writeFile(join(runDir, MARKER), "This folder belongs to mcwan lab, which clears it.\n");
}

/** As `mkdir` with `recursive`, which in Node never ends where a folder that is there takes no folders, as /proc or a link to nowhere. */
async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { mode: 0o700 });
  } catch (error) {
    if (existsSync(folder) && statSync(folder).isDirectory()) return;
    if (existsSync(dirname(folder))) throw error;
    await makeFolder(dirname(folder));
    await mkdir(folder, { mode: 0o700 });
  }
}

/** Empties a run folder; one that isn't there is empty. Throws UsageError when it isn't a lab's. */
export async function clearRunDir(runDir: string): Promise<void> {
  if (!existsSync(runDir)) return;
  const names = await readdir(runDir);
  if (names.length > 0 && !names.includes(MARKER)) {
    throw new UsageError(
      `${runDir} holds files that no lab has put there: name another run folder in MCWAN_RUN`,
    );
  }
  // The marker goes last, so that a clearing that is interrupted can be done again.
  for (const name of [
    ...names.filter((entry) => entry !== MARKER),
    ...names.filter((entry) => entry === MARKER),
  ])
    await remove(join(runDir, name));
}

/** Empties a run folder and takes it away. Where something holds the folder itself (a mount, a foreign file) it stays, empty. */
export async function removeRunDir(runDir: string): Promise<void> {
  await clearRunDir(runDir);
  await rmdir(runDir).catch(() => undefined);
}

/**
 * Runs `action` while nobody else starts or ends a lab in this folder. Throws UsageError when somebody does.
 */
export async function withRunDirLock<T>(runDir: string, action: () => Promise<T>): Promise<T> {
  const lock = await tryLock(await realpath(runDir).catch(() => resolve(runDir)));
  if (lock === undefined)
    throw new UsageError(`another mcwan is starting or ending the lab in ${runDir}: wait for it`);
  try {
    return await action();
  } finally {
    lock.close();
  }
}

/** Runs `action`, which takes moments, while nobody else holds the lock of that name; waits for its turn. */
export async function withLock<T>(name: string, action: () => Promise<T>): Promise<T> {
  for (;;) {
    const lock = await tryLock(name);
    if (lock === undefined) {
      await sleep(5);
      continue;
    }
    try {
      return await action();
    } finally {
      lock.close();
    }
  }
}

/** The lock of a name; undefined: somebody has it. It is an abstract socket: it ends with this process, however that ends. */
async function tryLock(name: string): Promise<Server | undefined> {
  const digest = createHash("sha256").update(name).digest("hex").slice(0, 32);
  const lock = createServer();
  return await new Promise((done) => {
    lock.once("error", () => {
      done(undefined);
    });
    lock.listen({ path: `\0mc-wan-lab-${digest}` }, () => {
      done(lock);
    });
  });
}

/** Waits until a process is gone. */
export async function gone(process: ProcessIdentity): Promise<void> {
  while (isRunning(process)) await sleep(5);
}

function parentOf(pid: string): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    return undefined;
  }
}

/** Pods may leave folders that even their owner can't write to. */
async function remove(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
  } catch {
    await makeWritable(path);
    await rm(path, { recursive: true, force: true });
  }
}

async function makeWritable(folder: string): Promise<void> {
  await chmod(folder, 0o700);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) await makeWritable(join(folder, entry.name));
  }
}
