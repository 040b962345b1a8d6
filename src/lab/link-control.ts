/**
 * The links of a lab that is up, from the host: asks for a change and waits until the lab has made it.
 *
 *     links.json ── inside/links.ts ──> the network, link-status.json
 */
import { readFile, rename, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { UsageError } from "../model/errors.ts";
import type { LinksStatus } from "./inside/links.ts";
import { labFiles, type LabPlan } from "./lab-plan.ts";
import { isRunning, withLock, type LabState } from "./run-dir.ts";
import {
  changedLinks,
  isMeant,
  type DesiredLinks,
  type LinkChange,
  type LinkSelector,
} from "./sdwan/link-change.ts";
import type { LinkStatus } from "./sdwan/link-means.ts";

/** For the lab to make a change: a wire that starts, on a busy machine. */
const CHANGE_LIMIT_MS = 60_000;
const POLL_MS = 10;

/** How the links are. Throws UsageError when the lab isn't so far. */
export async function readLinks(runDir: string): Promise<LinksStatus> {
  const text = await readFile(labFiles(runDir).linkStatus, "utf8").catch((cause: unknown) => {
    throw new UsageError("the lab has no links yet: it is still coming up, or another mcwan's", { cause });
  });
  return JSON.parse(text) as LinksStatus;
}

/** Changes links and fulfils when they are so, with those that were meant. Throws UsageError for a selector that means none, or a lab that is gone. */
export async function changeLinks(
  lab: { readonly plan: LabPlan; readonly state: LabState },
  asked: { readonly selector: LinkSelector; readonly change: LinkChange },
): Promise<LinkStatus[]> {
  const { runDir } = lab.plan;
  const file = labFiles(runDir).links;
  const generation = await withLock(`links of ${runDir}`, async () => {
    const before = JSON.parse(await readFile(file, "utf8")) as DesiredLinks;
    const after = changedLinks(lab.plan, before, asked);
    await writeFile(`${file}.new`, JSON.stringify(after));
    await rename(`${file}.new`, file);
    return after.generation;
  });
  const endMs = performance.now() + CHANGE_LIMIT_MS;
  for (;;) {
    const status = await readLinks(runDir);
    if (status.generation >= generation)
      return status.directions.filter((direction) => isMeant(direction, asked.selector));
    if (!isRunning(lab.state.process)) throw new UsageError("the lab is gone: `mcwan lab up` starts it anew");
    if (performance.now() > endMs)
      throw new Error(
        `the lab has not changed its links within ${CHANGE_LIMIT_MS / 1000} s: ${labFiles(runDir).logDir}/lab.log says why`,
      );
    await sleep(POLL_MS);
  }
}
