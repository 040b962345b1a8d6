/**
 * Fleets: which Envoys get which snapshot, and what each has acknowledged.
 *
 *     EnvoyConfig → publish → Snapshot per fleet → every stream of that fleet
 *
 * Holds all state of serving but the sockets. Never reads a clock: time is an argument.
 */
import type { FleetName } from "../model/desired.ts";
import type { Acknowledgement, EnvoyConfig, FleetConfig } from "../model/envoy-config.ts";
import { xdsType } from "../model/xds-types.ts";
import { acknowledgementOf } from "./acknowledgement.ts";
import { newStream, step } from "./ads-stream.ts";
import type { StreamRequest, StreamResponse, StreamState } from "./ads-stream.ts";
import { addLingering, emptyLinger } from "./linger.ts";
import type { Linger } from "./linger.ts";
import { changesBetween, isEmptyChange, snapshotOf } from "./snapshot.ts";
import type { Snapshot } from "./snapshot.ts";

/** An Envoy's stream, as the server sees it. */
export interface EnvoyStream {
  /** The Envoy's Pod name (node.id). */
  readonly node: string;
  readonly fleet: FleetName;
  readonly state: StreamState;
  /** Puts responses on the wire. */
  readonly send: (responses: readonly StreamResponse[]) => void;
}

interface Fleet {
  config: FleetConfig | undefined;
  /** `config` and the listeners that linger. */
  snapshot: Snapshot | undefined;
  linger: Linger;
  readonly streams: Set<EnvoyStream>;
}

/** How many resources a publication changed, over all fleets. */
export interface Publication {
  readonly changed: number;
}

export class Fleets {
  readonly #fleets = new Map<FleetName, Fleet>();

  /** Takes a new configuration of all fleets; a fleet that is not in it keeps its last one until its streams end. */
  publish(config: EnvoyConfig, nowMs: number): Publication {
    let changed = 0;
    for (const [name, fleetConfig] of config.fleets) {
      const fleet = this.#fleet(name);
      if (fleet.config !== fleetConfig)
        fleet.linger = addLingering(fleet.linger, { previous: fleet.config, next: fleetConfig, nowMs });
      fleet.config = fleetConfig;
      changed += push(fleet, nowMs);
    }
    for (const [name, fleet] of this.#fleets) {
      if (!config.fleets.has(name) && fleet.streams.size === 0) this.#fleets.delete(name);
    }
    return { changed };
  }

  /** A stream's first request came: it is answered with what its fleet has, if that is known. */
  open(node: string, fleetName: FleetName, send: EnvoyStream["send"]): EnvoyStream {
    const fleet = this.#fleet(fleetName);
    const stream: EnvoyStream = { node, fleet: fleetName, state: newStream(fleet.snapshot), send };
    fleet.streams.add(stream);
    return stream;
  }

  request(stream: EnvoyStream, request: StreamRequest, nowMs: number): void {
    stream.send(step(stream.state, { kind: "Request", request, nowMs }));
  }

  close(stream: EnvoyStream): void {
    this.#fleets.get(stream.fleet)?.streams.delete(stream);
  }

  /** Lets time pass: lingering listeners end, gates that nobody opens give way. */
  tick(nowMs: number): void {
    for (const fleet of this.#fleets.values()) {
      if (fleet.linger.size > 0 && [...fleet.linger.values()].some(({ untilMs }) => untilMs <= nowMs)) {
        fleet.linger = new Map([...fleet.linger].filter(([, { untilMs }]) => untilMs > nowMs));
        push(fleet, nowMs);
      }
      for (const stream of fleet.streams) {
        if (stream.state.gateSinceMs !== undefined) stream.send(step(stream.state, { kind: "Tick", nowMs }));
      }
    }
  }

  /** What Envoys of this replica have said of each Gateway, by `namespace/name`. */
  acknowledgements(): Map<string, Acknowledgement> {
    const result = new Map<string, Acknowledgement>();
    for (const fleet of this.#fleets.values()) {
      const { config, snapshot } = fleet;
      if (config === undefined || snapshot === undefined) continue;
      const states = [...fleet.streams].map(({ state }) => state);
      for (const [gateway, resources] of config.gateways) {
        const acknowledgement = acknowledgementOf(resources, snapshot, states);
        if (acknowledgement !== undefined) result.set(gateway, acknowledgement);
      }
    }
    return result;
  }

  /** Ports on which each Envoy of this replica listens, by Pod name. */
  listening(): Map<string, ReadonlySet<number>> {
    const result = new Map<string, Set<number>>();
    for (const fleet of this.#fleets.values()) {
      for (const { node, state } of fleet.streams) {
        const { isOpen, accepted } = state.types[xdsType.listener];
        if (!isOpen || fleet.config === undefined) continue;
        const ports = result.get(node) ?? new Set();
        for (const name of accepted.keys()) {
          const listener = fleet.config.listeners.get(name);
          const address = listener?.address?.address;
          if (address?.case === "socketAddress" && address.value.portSpecifier.case === "portValue") {
            ports.add(address.value.portSpecifier.value);
          }
        }
        result.set(node, ports);
      }
    }
    return result;
  }

  /** Open streams by fleet, for metrics and debugging. */
  streams(): ReadonlyMap<FleetName, readonly string[]> {
    return new Map(
      [...this.#fleets].map(([name, fleet]) => [name, [...fleet.streams].map(({ node }) => node)]),
    );
  }

  #fleet(name: FleetName): Fleet {
    let fleet = this.#fleets.get(name);
    if (fleet === undefined) {
      fleet = { config: undefined, snapshot: undefined, linger: emptyLinger, streams: new Set() };
      this.#fleets.set(name, fleet);
    }
    return fleet;
  }
}

/** Makes the fleet's snapshot anew and tells its streams; gives the number of resources that changed. */
function push(fleet: Fleet, nowMs: number): number {
  const { config } = fleet;
  if (config === undefined) return 0;
  const listeners = new Map(config.listeners);
  for (const [name, { listener }] of fleet.linger) if (!listeners.has(name)) listeners.set(name, listener);
  const snapshot = snapshotOf({ ...config, listeners });
  const change = changesBetween(fleet.snapshot, snapshot);
  const isFirst = fleet.snapshot === undefined;
  fleet.snapshot = snapshot;
  if (isEmptyChange(change) && !isFirst) return 0;
  for (const stream of fleet.streams)
    stream.send(step(stream.state, { kind: "Snapshot", snapshot, change, nowMs }));
  return Object.values(change).reduce((sum, names) => sum + names.length, 0);
}
