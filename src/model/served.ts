/**
 * The Envoy side as the composition root sees it: what `serve` and `drivers/grpc` offer together. Only the interface:
 * run.ts puts `createAdsServer` behind it.
 *
 *     EnvoyConfig → publish → AdsServer → Envoys
 *                                 └→ acknowledgements, listening → status and advertisements
 */
import type { World } from "./world.ts";
import type { FleetName } from "./desired.ts";
import type { ControllerIdentity } from "./identity.ts";
import type { Acknowledgements, EnvoyConfig, RefusedRoute } from "./envoy-config.ts";

/** Whom Envoys are shown, and who of them is let in. */
export interface Admission {
  /** Undefined until it was issued: nobody is let in, or who is stays. */
  readonly identity: ControllerIdentity | undefined;
  /** The fleet of each ServiceAccount, by `namespace/name`. */
  readonly accounts: ReadonlyMap<string, FleetName>;
}

export interface AdsServer {
  /** Starts to listen; gives the port, which the system chose where 0 was asked for. */
  start(): Promise<{ readonly port: number }>;
  /** Lets these in from now on. */
  admit(admission: Admission): void;
  /** Serves this configuration from now on. Before the first call no Envoy gets an answer: unknown is not empty. */
  publish(config: EnvoyConfig): void;
  /** What Envoys have said of each Gateway. The same Map while nothing changed. */
  acknowledgements(): Acknowledgements;
  /** Ports on which each gateway Pod (by Pod name) listens. The same Map while nothing changed. */
  listening(): ReadonlyMap<string, ReadonlySet<number>>;
  /** Ports of peers to which each gateway Pod's Envoy may send (see World). The same Map while nothing changed. */
  sending(): World["sending"];
  /** Routes that Envoys refuse, in order of kind, key and fleet. The same array while nothing changed. */
  refusedRoutes(): readonly RefusedRoute[];
  /** Called after {@link acknowledgements}, {@link listening}, {@link sending} or {@link refusedRoutes} changed. */
  onAcknowledged(callback: () => void): void;
  /** Reports to the Lease holder at `host:port` from now on; undefined when this replica is the holder, or none is known. */
  followLeader(address: string | undefined): void;
  /** Ends the streams and the server. */
  stop(): Promise<void>;
}
