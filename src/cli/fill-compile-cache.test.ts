import { expect } from "chai";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const root = join(import.meta.dirname, "../..");

/** The sources that Node had to take types out of, of those that a program loads with this cache. */
async function uncached(cache: string, words: readonly string[]): Promise<readonly string[]> {
  const env = { ...process.env, NODE_COMPILE_CACHE: cache, NODE_DEBUG_NATIVE: "COMPILE_CACHE" };
  const options = { env, maxBuffer: 64 * 1024 * 1024 };
  // It ends with what it can't do: only what it loaded before counts.
  const ended = await run(process.execPath, words, options).catch((error: unknown) => error);
  const { stdout, stderr } = ended as { stdout: string; stderr: string };
  const said = `${stdout}${stderr}`.split("\n");
  expect(said.join("\n")).to.contain("[compile cache]");
  return said.filter((line) => line.includes(".ts was not initialized"));
}

describe("the compile cache of the image", function () {
  this.timeout(120_000);
  let cache: string;
  before(() => {
    cache = mkdtempSync(join(tmpdir(), "mc-wan-compile-cache-"));
  });
  after(() => {
    rmSync(cache, { recursive: true, force: true });
  });

  it("holds every source that the controller loads until it looks for its cluster", async () => {
    const controller = [join(root, "src/cli/main.ts"), "controller", "--kubeconfig", join(cache, "none")];
    expect(await uncached(join(cache, "another"), controller)).not.to.deep.equal([]);
    await uncached(cache, [join(root, "src/cli/fill-compile-cache.ts")]);
    expect(await uncached(cache, controller)).to.deep.equal([]);
  });
});
