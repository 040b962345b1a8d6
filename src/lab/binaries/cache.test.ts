import { expect } from "chai";
import { mkdir, mkdtemp, readdir, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cacheFolder, entryFolder, findEntry, makeEntry } from "./cache.ts";

describe("the cache of binaries", () => {
  const entry = { name: "tool", version: "1.2.3" };
  const before = process.env["MCWAN_CACHE"];
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "mc-wan-cache-"));
    process.env["MCWAN_CACHE"] = folder;
  });
  afterEach(async () => {
    if (before === undefined) delete process.env["MCWAN_CACHE"];
    else process.env["MCWAN_CACHE"] = before;
    await rm(folder, { recursive: true, force: true });
  });

  async function fill(staging: string): Promise<string> {
    await writeFile(join(staging, "tool"), "#!/bin/sh\necho tool\n");
    return "a test";
  }

  it("lies where MCWAN_CACHE says, else in XDG_CACHE_HOME, else in the home directory", () => {
    expect(cacheFolder({ MCWAN_CACHE: "/a", XDG_CACHE_HOME: "/b" })).to.equal("/a");
    expect(cacheFolder({ MCWAN_CACHE: "", XDG_CACHE_HOME: "/b" })).to.equal("/b/mc-wan");
    expect(cacheFolder({})).to.match(/\.cache\/mc-wan$/);
  });

  it("gives an entry once it is made, executable", async () => {
    expect(findEntry(entry)).to.equal(undefined);
    const path = await makeEntry(entry, fill);
    expect(findEntry(entry)).to.equal(path);
    expect(path).to.equal(join(entryFolder(entry), "tool"));
  });

  it("shows nothing of an entry whose making failed, and leaves nothing in staging", async () => {
    const failing = makeEntry(entry, async (staging) => {
      await fill(staging);
      throw new Error("cut off");
    });
    expect(String(await failing.catch((caught: unknown) => caught))).to.contain("cut off");
    expect(findEntry(entry)).to.equal(undefined);
    expect(await readdir(join(folder, "staging"))).to.deep.equal([]);
  });

  it("removes what a killed run left in staging, but not another entry's", async () => {
    await mkdir(join(folder, "staging", "tool-1.2.3-left"), { recursive: true });
    await mkdir(join(folder, "staging", "tool-2.0.0-other"), { recursive: true });
    await makeEntry(entry, fill);
    expect(await readdir(join(folder, "staging"))).to.deep.equal(["tool-2.0.0-other"]);
  });

  it("doesn't take a truncated program for one, and replaces it", async () => {
    const path = await makeEntry(entry, fill);
    await truncate(path, 3);
    expect(findEntry(entry)).to.equal(undefined);
    await makeEntry(entry, fill);
    expect(findEntry(entry)).to.equal(path);
  });
});
