import { expect } from "chai";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { withLock } from "./lock.ts";

describe("withLock", () => {
  let folder: string;
  let path: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "mc-wan-lock-"));
    path = join(folder, "thing.lock");
  });
  afterEach(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  /** A process that takes the lock, appends "in" to a file, stays inside for a while and appends "out". */
  function holder(stayMs: number): {
    readonly pid: number;
    readonly ended: Promise<void>;
    readonly kill: () => void;
  } {
    const program = `
      import { withLock } from ${JSON.stringify(join(import.meta.dirname, "lock.ts"))};
      import { appendFileSync } from "node:fs";
      const [path, log, stay] = process.argv.slice(1);
      await withLock(path, async () => {
        appendFileSync(log, "in ");
        await new Promise((resolve) => setTimeout(resolve, Number(stay)));
        appendFileSync(log, "out ");
      });`;
    const child = spawn(
      process.execPath,
      ["--input-type=module", "-e", program, path, join(folder, "log"), String(stayMs)],
      { stdio: "inherit" },
    );
    const ended = new Promise<void>((resolve) =>
      child.once("exit", () => {
        resolve();
      }),
    );
    return { pid: child.pid ?? 0, ended, kill: () => child.kill("SIGKILL") };
  }

  async function log(): Promise<string> {
    return await readFile(join(folder, "log"), "utf8").catch(() => "");
  }

  it("lets only one of many processes in at a time", async function () {
    this.timeout(30_000);
    await Promise.all(
      [1, 2, 3, 4].map(async () => {
        await holder(100).ended;
      }),
    );
    expect(await log()).to.equal("in out in out in out in out ");
    expect(await readdir(folder)).to.deep.equal(["log"]);
  });

  it("lets only one of many callers in one process in at a time", async () => {
    const inside = async (): Promise<void> => {
      await appendFile(join(folder, "log"), "in ");
      await sleep(20);
      await appendFile(join(folder, "log"), "out ");
    };
    await Promise.all(
      [1, 2, 3].map(async () => {
        await withLock(path, inside);
      }),
    );
    expect(await log()).to.equal("in out in out in out ");
  });

  it("succeeds a holder that was killed, whoever of many comes first, and one at a time", async function () {
    this.timeout(30_000);
    const dead = holder(60_000);
    while ((await log()) === "") await sleep(50);
    dead.kill();
    await dead.ended;
    expect(existsSync(path)).to.equal(true);
    await Promise.all(
      [1, 2, 3, 4].map(async () => {
        await holder(50).ended;
      }),
    );
    expect(await log()).to.equal("in in out in out in out in out ");
    expect(await readdir(folder)).to.deep.equal(["log"]);
  });

  it("names the pid of the holder to whoever waits, and stops waiting when told to", async function () {
    this.timeout(30_000);
    const other = holder(60_000);
    try {
      while ((await log()) === "") await sleep(50);
      const stop = new AbortController();
      const waits: number[] = [];
      const onWait = (pid: number): void => {
        waits.push(pid);
        stop.abort();
      };
      const error = await withLock(path, async () => await Promise.resolve("inside"), {
        signal: stop.signal,
        onWait,
      }).catch((caught: unknown) => caught);
      expect(error).to.be.instanceOf(Error);
      expect(waits).to.deep.equal([other.pid]);
    } finally {
      other.kill();
      await other.ended;
    }
  });

  it("doesn't take a process for the holder that only has its number", async () => {
    await withLock(path, async () => {
      const mine = JSON.parse(await readFile(path, "utf8")) as Record<string, unknown>;
      await writeFile(join(folder, "stale"), JSON.stringify({ ...mine, started: "1", nonce: "other" }));
    });
    await writeFile(path, await readFile(join(folder, "stale")));
    expect(await withLock(path, async () => await Promise.resolve("inside"))).to.equal("inside");
  });

  it("releases the lock when the work fails", async () => {
    const failing = withLock(path, async () => await Promise.reject(new Error("broken")));
    expect(String(await failing.catch((caught: unknown) => caught))).to.equal("Error: broken");
    expect(await readdir(folder)).to.deep.equal([]);
  });
});
