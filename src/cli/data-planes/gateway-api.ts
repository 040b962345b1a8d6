/**
 * The data plane `gateway-api`: another implementation of Gateway API carries the traffic. Everything that it needs is
 * written by reconcile and apply, and everything that is known of it stands in the cluster: here, nothing is served, and
 * no status of Gateways and routes is written, which are that implementation's.
 */
import type { DataPlane } from "../../model/data-plane.ts";
import type { DesiredStatus, ObjectKey } from "../../model/desired.ts";
import type { World } from "../../model/world.ts";

/** Another implementation's proxies. */
export class GatewayApiDataPlane implements DataPlane {
  readonly pages = {};
  readonly #statuses: ReadonlyMap<ObjectKey, DesiredStatus> = new Map();
  readonly #listening: World["listening"] = new Map();
  readonly #sending: World["sending"] = new Map();

  start(): Promise<Readonly<Record<string, number>>> {
    return Promise.resolve({});
  }

  carry(): "Same" {
    return "Same";
  }

  statuses(): ReadonlyMap<ObjectKey, DesiredStatus> {
    return this.#statuses;
  }

  listening(): World["listening"] {
    return this.#listening;
  }

  sending(): World["sending"] {
    return this.#sending;
  }

  onHeard(): void {
    // Its word comes with the World.
  }

  followLeader(): void {
    // There is nothing to report.
  }

  waitsFor(): undefined {
    return undefined;
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }
}
