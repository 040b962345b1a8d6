/** Go modules as folders of files: fetched by Go itself into its module cache, and checked against the hash that is pinned here. */
import { run } from "./command.ts";
import { goToolchain } from "./go-toolchain.ts";
import type { Context } from "./source.ts";

/** A module at a version, and the hash that go.sum would hold. */
export interface GoModule {
  readonly module: string;
  readonly version: string;
  readonly sum: string;
}

/** The module's folder, unpacked and read-only, in Go's module cache. @throws Error when it can't be had or is another. */
export async function fetchGoModule({ module, version, sum }: GoModule, context: Context): Promise<string> {
  const go = await goToolchain(context);
  const answer: unknown = JSON.parse(
    await run(go.program, ["mod", "download", "-json", `${module}@${version}`], {
      env: { ...go.env, GOWORK: "off" },
      signal: context.signal,
    }),
  );
  const { Dir: folder, Sum: got } = answer as { readonly Dir?: unknown; readonly Sum?: unknown };
  if (got !== sum) throw new Error(`${module}@${version} has the hash ${String(got)}, not ${sum}`);
  if (typeof folder !== "string") throw new Error(`go named no folder of ${module}@${version}`);
  return folder;
}
