/**
 * Listeners that are gone from the configuration but still open for a while: for what no acknowledgement tells of, such as
 * connections on their way and kube-proxies that follow a slice late. That a WAN policy's earlier port leaves the
 * configuration only when every peer sends elsewhere is reconcile's business (draining-ports.ts).
 *
 * Only a listener whose route table stays is kept (a listener without its routes could only say no), and none whose
 * port another listener has taken.
 */
import type { FleetConfig } from "../model/envoy-config.ts";
import type { Listener } from "../envoy/envoy/config/listener/v3/listener_pb.ts";
import { portOf } from "./listening.ts";

/** How long a listener outlives its removal, in milliseconds. */
export const lingerMs = 10_000;

/** By listener name. */
export type Linger = ReadonlyMap<string, LingeringListener>;

interface LingeringListener {
  readonly listener: Listener;
  readonly tables: readonly string[];
  readonly untilMs: number;
}

/** Nothing lingers. */
export const emptyLinger: Linger = new Map();

/** The lingering listeners after a fleet's configuration changed from `previous` to `next`. */
export function addLingering(
  linger: Linger,
  change: { readonly previous: FleetConfig | undefined; readonly next: FleetConfig; readonly nowMs: number },
): Linger {
  const { previous, next, nowMs } = change;
  const gone = new Map<string, LingeringListener>();
  for (const [name, entry] of linger) if (entry.untilMs > nowMs) gone.set(name, entry);
  for (const [name, listener] of previous?.listeners ?? []) {
    const tables = previous?.tables.get(name) ?? [];
    if (tables.length > 0) gone.set(name, { listener, tables, untilMs: nowMs + lingerMs });
  }
  for (const name of next.listeners.keys()) gone.delete(name);
  if (gone.size === 0) return emptyLinger;
  const taken = new Set([...next.listeners.values()].map(portOf));
  return new Map(
    [...gone].filter(
      ([, { listener, tables }]) =>
        tables.every((table) => next.routes.has(table)) && !taken.has(portOf(listener)),
    ),
  );
}
