import { expect } from "chai";
import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UsageError } from "../model/errors.ts";
import {
  clearRunDir,
  defaultRunDir,
  gone,
  identify,
  isRunning,
  makeRunDir,
  withRunDirLock,
} from "./run-dir.ts";

async function failure(action: Promise<unknown>): Promise<unknown> {
  return await action.then(
    () => undefined,
    (error: unknown) => error,
  );
}

describe("the run folder", () => {
  let folder = "";
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "mcwan-run-dir-"));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  it("is the one that the environment names", () => {
    expect(defaultRunDir({ MCWAN_RUN: "/a/b" })).to.equal("/a/b");
    expect(defaultRunDir({ XDG_RUNTIME_DIR: folder })).to.equal(join(folder, "mc-wan"));
    expect(defaultRunDir({})).to.match(/mc-wan-\d+$/);
  });

  it("is cleared when it is a lab's, even of folders that can't be written to", async () => {
    await makeRunDir(folder);
    mkdirSync(join(folder, "pod", "volume"), { recursive: true });
    writeFileSync(join(folder, "pod", "volume", "file"), "");
    chmodSync(join(folder, "pod", "volume"), 0o500);
    await clearRunDir(folder);
    expect(existsSync(join(folder, "pod"))).to.equal(false);
  });

  it("is left alone when somebody else's files are in it", async () => {
    writeFileSync(join(folder, "thesis.tex"), "");
    expect(await failure(makeRunDir(folder))).to.be.instanceOf(UsageError);
    expect(existsSync(join(folder, "thesis.tex"))).to.equal(true);
  });

  it("is made with the folders above it, and refused at once where no folder can be", async () => {
    await makeRunDir(join(folder, "a", "b"));
    expect(existsSync(join(folder, "a", "b"))).to.equal(true);
    symlinkSync(join(folder, "nowhere"), join(folder, "link"));
    writeFileSync(join(folder, "file"), "");
    for (const impossible of ["/proc/mc-wan/run", join(folder, "link", "run"), join(folder, "file", "run")])
      expect(await failure(makeRunDir(impossible)), impossible).to.be.instanceOf(UsageError);
  });

  it("is changed by one at a time", async () => {
    await withRunDirLock(folder, async () => {
      expect(
        await failure(
          withRunDirLock(folder, async () => {
            await Promise.resolve();
          }),
        ),
      ).to.be.instanceOf(UsageError);
    });
    await withRunDirLock(folder, async () => {
      await Promise.resolve();
    });
  });
});

describe("a process's identity", () => {
  it("ends with the process", async () => {
    const child = spawn("sleep", ["60"]);
    const identity = identify(child.pid ?? 0);
    expect(identity !== undefined && isRunning(identity)).to.equal(true);
    child.kill("SIGKILL");
    await gone(identity!);
    expect(isRunning(identity!)).to.equal(false);
  });

  it("is not another process's of the same number", () => {
    const mine = identify(process.pid);
    expect(isRunning({ ...mine!, startTime: "1" })).to.equal(false);
  });
});
