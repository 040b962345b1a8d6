/** What an import makes of a cluster that is not heard any more. */
import type { ServiceImport } from "../api/service-import.ts";
import { durationMs } from "./duration.ts";
import type { Peer, Settings } from "./world.ts";

/** A watch that fails for this long makes a peer stale: ends of streams and restarts of an API server are no news. */
export const usualStaleAfterMs = 5000;

/** The import's own word, else that of the settings. */
export interface PartitionRule {
  readonly onPartition: "Keep" | "Drain";
  readonly staleAfterMs: number;
}

/** The rule that holds for an import; `rules`: its L7 ServiceImport, if there is one. */
export function partitionRule(rules: ServiceImport | undefined, { partition }: Settings): PartitionRule {
  const own = rules?.spec.staleAfter;
  return {
    onPartition: rules?.spec.onPartition ?? partition?.onPartition ?? "Keep",
    staleAfterMs:
      (own === undefined ? undefined : durationMs(own)) ?? partition?.staleAfterMs ?? usualStaleAfterMs,
  };
}

/** Whether a peer counts as stale under a rule. */
export const isStaleFor = ({ state, unheardForMs }: Peer, { staleAfterMs }: PartitionRule): boolean =>
  state === "Stale" && (unheardForMs ?? 0) >= staleAfterMs;
