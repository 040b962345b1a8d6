/**
 * A data plane as the composition root sees it: who carries the traffic of the Gateways that reconcile wants. Chosen by
 * name (cli/data-planes/registry.ts). What is to be deployed for it is the business of reconcile, which reads the choice
 * from {@link Settings.dataPlane}.
 *
 *     World, Desired → carry → what it serves
 *                        └→ statuses, ports that are listened on
 */
import type { Desired, DesiredStatus, ObjectKey } from "./desired.ts";
import type { World } from "./world.ts";

/** One data plane that runs from {@link start} to {@link stop}. */
export interface DataPlane {
  /** Begins to listen, if it does; gives the ports by the name under which they are logged. */
  start(): Promise<Readonly<Record<string, number>>>;
  /**
   * Takes up what is wanted now. `New`: something goes out to proxies, and what is written may wait until it is on its
   * way. `Same`: nothing does. Undefined while it has never had anything to carry.
   */
  carry(world: World, desired: Desired): "New" | "Same" | undefined;
  /** Statuses that only the data plane can tell; they hold over those of Desired. Undefined while it can't tell. */
  statuses(world: World, desired: Desired): ReadonlyMap<ObjectKey, DesiredStatus> | undefined;
  /** Ports on which each gateway Pod is known to listen (see World). The same Map while nothing changed. */
  listening(): World["listening"];
  /** Ports of peers to which each gateway Pod may send (see World). The same Map while nothing changed. */
  sending(): World["sending"];
  /** Called after {@link listening}, {@link sending}, or what {@link statuses} depends on, has changed. */
  onHeard(callback: () => void): void;
  /** The replica that holds the Lease, by its IP; undefined if it is this one, or none is known. */
  followLeader(host: string | undefined): void;
  /** What readiness waits for, in words; undefined: nothing. */
  waitsFor(): string | undefined;
  /** Pages for whoever looks for a mistake: what each shows, by the last part of its path under /debug. */
  readonly pages: Readonly<Record<string, () => unknown>>;
  /** Ends what {@link start} began. */
  stop(): Promise<void>;
}
