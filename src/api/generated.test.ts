import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";

const root = join(import.meta.dirname, "..", "..");

describe("src/api/generated", () => {
  it("is what scripts/generate-api-types.ts makes of crds/", async function () {
    this.timeout(30_000);
    await promisify(execFile)(process.execPath, [join(root, "scripts", "generate-api-types.ts"), "--check"]);
  });
});
