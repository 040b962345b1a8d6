/** After how long home's imports, and the settings, take a peer for stale: durations at which a World may differ. */
import type { ServiceImport } from "../api/service-import.ts";
import { durationMs } from "../model/duration.ts";
import { usualStaleAfterMs } from "../model/partition.ts";
import type { Settings, Store } from "../model/world.ts";

/** The durations, ascending, each once: the same list while it is the same. Reads the imports only when they change. */
export class StaleLimits {
  #imports: Store<ServiceImport> | undefined;
  #limits: readonly number[] = [];

  of(imports: Store<ServiceImport>, { partition }: Settings): readonly number[] {
    if (imports === this.#imports) return this.#limits;
    this.#imports = imports;
    const found = new Set([partition?.staleAfterMs ?? usualStaleAfterMs]);
    for (const { spec } of imports.values()) {
      const limitMs = spec.staleAfter === undefined ? undefined : durationMs(spec.staleAfter);
      if (limitMs !== undefined) found.add(limitMs);
    }
    const limits = [...found].sort((a, b) => a - b);
    if (limits.join() !== this.#limits.join()) this.#limits = limits;
    return this.#limits;
  }
}
