/** Exports of one service from two clusters, the older and the younger, and how their imports are compared. */
import { setTimeout as sleep } from "node:timers/promises";
import type { InstallTarget } from "../src/lab/install.ts";
import type { Environment } from "./environment.ts";
import { applyIn, exportCondition, importsThat } from "./mcs.ts";
import type { SeenImport } from "./mcs.ts";
import type { Manifest } from "./mistake.ts";

/** Creation times, which tell the older export from the younger, have no fractions of a second. */
const olderMs = 1_100;

/** The first cluster exports, then the second. */
export async function exportTwice(
  environment: Environment,
  name: string,
  each: readonly [readonly Manifest[], readonly Manifest[]],
): Promise<readonly [InstallTarget, InstallTarget]> {
  const [first, second] = clustersOf(environment);
  await applyIn(environment, first, ...each[0]);
  await importsThat(environment, name, { what: "the first export", in: [first] });
  await sleep(olderMs);
  await applyIn(environment, second, ...each[1]);
  return [first, second];
}

/** The clusters by name: scenarios have three. */
export function clustersOf({ clusters }: Environment): [InstallTarget, InstallTarget, InstallTarget] {
  const [first, second, third] = clusters;
  if (first === undefined || second === undefined || third === undefined) throw new Error("three clusters are needed"); // prettier-ignore
  return [first, second, third];
}

/** Waits until every one of the exports has Conflict=True for that reason; the messages. */
export const conflictAtAll = async (
  environment: Environment,
  name: string,
  { clusters, reason }: { readonly clusters: readonly InstallTarget[]; readonly reason: string },
): Promise<string[]> =>
  await Promise.all(
    clusters.map(
      async (cluster) =>
        (await exportCondition(environment, { cluster, name }, { type: "Conflict", status: "True", reason }))
          .message,
    ),
  );

/** Ports as `name/protocol/number`. */
export const portsOf = ({ spec }: SeenImport): string[] =>
  (spec.ports ?? []).map(({ name, protocol, port }) => `${name ?? ""}/${protocol ?? "TCP"}/${port}`).sort();
/** Whether two lists have the same entries, in any order. */
export const sameList = (a: readonly string[], b: readonly string[]): boolean =>
  JSON.stringify([...a].sort()) === JSON.stringify([...b].sort());

/** What an export gives to imports beside its Service: labels and annotations that bear a number. */
export const exportedMaps = (n: number): object => ({
  exportedLabels: { [`dummy-label-${n}`]: "true" },
  exportedAnnotations: { [`dummy-annotation-${n}`]: "true" },
});
/** Whether an import has what {@link exportedMaps} gave. */
export const hasMaps = ({ metadata }: SeenImport, n: number): boolean =>
  metadata.labels?.[`dummy-label-${n}`] === "true" &&
  metadata.annotations?.[`dummy-annotation-${n}`] === "true";
