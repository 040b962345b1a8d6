/**
 * Listeners that are gone from the configuration but still open for a while: a WAN policy's port changes in every
 * cluster, and requests that were sent to the old port before the others heard of the new one must still be answered.
 *
 * Only a listener whose route table stays is kept: a listener without its routes could only say no.
 */
import type { FleetConfig } from "../model/envoy-config.ts";
import type { Listener } from "../envoy/envoy/config/listener/v3/listener_pb.ts";

/** How long a listener outlives its removal, in milliseconds. */
export const lingerMs = 10_000;

/** By listener name. */
export type Linger = ReadonlyMap<string, LingeringListener>;

interface LingeringListener {
  readonly listener: Listener;
  readonly table: string;
  readonly untilMs: number;
}

export const emptyLinger: Linger = new Map();

/** The lingering listeners after a fleet's configuration changed from `previous` to `next`. */
export function addLingering(
  linger: Linger,
  change: { readonly previous: FleetConfig | undefined; readonly next: FleetConfig; readonly nowMs: number },
): Linger {
  const { previous, next, nowMs } = change;
  const result = new Map<string, LingeringListener>();
  const keep = (name: string, entry: LingeringListener): void => {
    if (!next.listeners.has(name) && next.routes.has(entry.table)) result.set(name, entry);
  };
  for (const [name, entry] of linger) if (entry.untilMs > nowMs) keep(name, entry);
  for (const [name, listener] of previous?.listeners ?? []) {
    const table = previous?.tables.get(name);
    if (table !== undefined) keep(name, { listener, table, untilMs: nowMs + lingerMs });
  }
  return result;
}
