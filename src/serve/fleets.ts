/**
 * Fleets: which Envoys get which snapshot, and what each has acknowledged.
 *
 *     EnvoyConfig → publish → Snapshot per fleet → every stream of that fleet
 *
 * Holds all state of serving but the sockets. Never reads a clock: time is an argument, in milliseconds, monotonic.
 */
import type { FleetName } from "../model/desired.ts";
import type { EnvoyConfig, FleetConfig, RefusedRoute } from "../model/envoy-config.ts";
import type { SendsTo } from "../model/world.ts";
import { xdsType } from "../model/xds-types.ts";
import { acknowledgementOf, publishedGateways } from "./acknowledgement.ts";
import type { PublishedGateway } from "./acknowledgement.ts";
import { step } from "./ads-stream.ts";
import { addLingering, emptyLinger } from "./linger.ts";
import type { Linger } from "./linger.ts";
import { acceptedPorts } from "./listening.ts";
import { refusedRoutes } from "./refusals.ts";
import type { Report } from "./replica-report.ts";
import { isUpToDate, unionOf } from "./sending.ts";
import { changesBetween, isEmptyChange, snapshotOf } from "./snapshot.ts";
import type { Snapshot } from "./snapshot.ts";
import { isWaiting } from "./stream-response.ts";
import { newStream } from "./stream-state.ts";
import type { StreamRequest, StreamResponse, StreamState } from "./stream-state.ts";

/** How long the ports of an Envoy whose stream ended still count: without a control plane it goes on (X18). */
export const departedMs = 60_000;

/** An Envoy's stream, as the server sees it. */
export interface EnvoyStream {
  /** The Envoy's Pod name (node.id). */
  readonly node: string;
  readonly fleet: FleetName;
  readonly state: StreamState;
  /** What its Envoy may send to; undefined while it has not acknowledged where. */
  sendsTo: SendsTo | undefined;
  /** Puts responses on the wire. */
  readonly send: (responses: readonly StreamResponse[]) => void;
}

interface Fleet {
  /** Undefined until the fleet was published: nothing is answered before (X14). */
  config: FleetConfig | undefined;
  /** Whether the newest configuration names the fleet: if not, it ends with its last stream. */
  isWanted: boolean;
  /** `config` and the listeners that linger. */
  snapshot: Snapshot | undefined;
  linger: Linger;
  gateways: ReadonlyMap<string, PublishedGateway>;
  readonly streams: Set<EnvoyStream>;
  /** Ids of virtual hosts that some of its Envoys have accepted (table-sift.ts). */
  readonly proven: Set<string>;
}

interface Departed {
  readonly ports: readonly number[];
  readonly sendsTo: SendsTo | undefined;
  readonly untilMs: number;
}

/** How many resources a publication changed, over all fleets. */
export interface Publication {
  readonly changed: number;
}

/** All Envoys that are connected to this replica. */
export class Fleets {
  readonly #fleets = new Map<FleetName, Fleet>();
  readonly #departed = new Map<string, Departed>();
  #sendsTo: SendsTo = {};

  /**
   * Takes a new configuration of all fleets; a fleet that is not in it keeps its last one until its streams end.
   * @throws AggregateError of those that can't be encoded: these keep their last one, and all others have the new one.
   */
  publish(config: EnvoyConfig, nowMs: number): Publication {
    let changed = 0;
    const failures: unknown[] = [];
    this.#publishSendsTo(config.sendsTo ?? {});
    for (const [name, fleetConfig] of config.fleets) {
      try {
        changed += publishTo(this.#fleet(name), fleetConfig, nowMs);
      } catch (error) {
        failures.push(error);
      }
    }
    for (const [name, fleet] of this.#fleets) {
      fleet.isWanted = config.fleets.has(name);
      this.#endIfUnused(name, fleet);
    }
    if (failures.length > 0) throw new AggregateError(failures, failuresMessage);
    return { changed };
  }

  /** A stream's first request came: it is answered with what its fleet has, if that is known. */
  open(node: string, fleetName: FleetName, send: EnvoyStream["send"]): EnvoyStream {
    const fleet = this.#fleet(fleetName);
    const stream: EnvoyStream = {
      node,
      fleet: fleetName,
      state: newStream(fleet.snapshot, fleet.proven),
      sendsTo: undefined,
      send,
    };
    fleet.streams.add(stream);
    return stream;
  }

  /** Takes a stream's request and answers what may be answered. */
  request(stream: EnvoyStream, request: StreamRequest, nowMs: number): void {
    send(stream, step(stream.state, { kind: "Request", request, nowMs }));
  }

  /** The stream is gone. Another stream of the same node is not touched. */
  close(stream: EnvoyStream, nowMs: number): void {
    const fleet = this.#fleets.get(stream.fleet);
    if (fleet?.streams.delete(stream) !== true) return;
    const ports = acceptedPorts(fleet.config, stream.state);
    if (isUpToDate(stream.state)) stream.sendsTo = this.#sendsTo;
    if (ports !== undefined)
      this.#departed.set(stream.node, { ports, sendsTo: stream.sendsTo, untilMs: nowMs + departedMs });
    this.#endIfUnused(stream.fleet, fleet);
  }

  /** Lets time pass: lingering listeners end, gates that nobody opens give way. True if what `report` says may differ. */
  tick(nowMs: number): boolean {
    for (const fleet of this.#fleets.values()) {
      if ([...fleet.linger.values()].some(({ untilMs }) => untilMs <= nowMs)) {
        fleet.linger = new Map([...fleet.linger].filter(([, { untilMs }]) => untilMs > nowMs));
        push(fleet, nowMs);
      }
      for (const stream of fleet.streams) {
        if (isWaiting(stream.state)) send(stream, step(stream.state, { kind: "Tick", nowMs }));
      }
    }
    const before = this.#departed.size;
    for (const [node, { untilMs }] of this.#departed) if (untilMs <= nowMs) this.#departed.delete(node);
    return this.#departed.size !== before;
  }

  /** What this replica's Envoys have said. */
  report(): Report {
    const acknowledgements: Report["acknowledgements"][number][] = [];
    const refused: RefusedRoute[] = [];
    const listening: Record<string, Report["listening"][string]> = Object.create(null) as Record<
      string,
      never
    >;
    for (const [node, { ports, sendsTo }] of this.#departed)
      listening[node] = { ports, isConnected: false, ...(sendsTo && { sendsTo }) };
    for (const [name, { config, snapshot, gateways, streams, isWanted }] of this.#fleets) {
      if (config === undefined || snapshot === undefined) continue;
      for (const stream of streams) {
        const { node, state } = stream;
        const ports = acceptedPorts(config, state);
        if (ports === undefined) continue;
        if (isUpToDate(state)) stream.sendsTo = this.#sendsTo;
        const other = listening[node]?.isConnected === true ? listening[node] : undefined;
        const all = [...new Set([...(other?.ports ?? []), ...ports])].sort((one, two) => one - two);
        // Of two streams of one Envoy the old one is about to end.
        const sendsTo = stream.sendsTo ?? other?.sendsTo;
        listening[node] = { ports: all, isConnected: true, ...(sendsTo && { sendsTo }) };
      }
      if (!isWanted) continue;
      const states = [...streams].map(({ state }) => state);
      refused.push(...refusedRoutes(name, config, states));
      for (const [key, gateway] of gateways) {
        const acknowledgement = acknowledgementOf(gateway, snapshot, states);
        if (acknowledgement === undefined) continue;
        const { generation } = gateway.resources;
        acknowledgements.push({ gateway: key, generation, ...acknowledgement });
      }
    }
    return { acknowledgements, listening, refusedRoutes: refused };
  }

  /** Names of the Envoys that are connected, by fleet. */
  streams(): ReadonlyMap<FleetName, readonly string[]> {
    return new Map(
      [...this.#fleets].map(([name, { streams }]) => [name, [...streams].map(({ node }) => node)]),
    );
  }

  /** Until it acknowledges what follows, each Envoy may send to the ports of before as well. */
  #publishSendsTo(next: SendsTo): void {
    if (next === this.#sendsTo) return;
    this.#sendsTo = next;
    for (const { streams } of this.#fleets.values())
      for (const stream of streams)
        if (stream.sendsTo !== undefined) stream.sendsTo = unionOf(stream.sendsTo, next);
  }

  #fleet(name: FleetName): Fleet {
    let fleet = this.#fleets.get(name);
    if (fleet === undefined) {
      fleet = {
        config: undefined,
        isWanted: false,
        snapshot: undefined,
        linger: emptyLinger,
        gateways: new Map(),
        streams: new Set(),
        proven: new Set(),
      };
      this.#fleets.set(name, fleet);
    }
    return fleet;
  }

  #endIfUnused(name: FleetName, fleet: Fleet): void {
    if (!fleet.isWanted && fleet.streams.size === 0) this.#fleets.delete(name);
  }
}

const failuresMessage = "Some fleets keep their last configuration, since the new one can't be encoded.";

function publishTo(fleet: Fleet, config: FleetConfig, nowMs: number): number {
  if (fleet.config === config) return 0;
  const { config: previous, linger } = fleet;
  fleet.linger = addLingering(linger, { previous, next: config, nowMs });
  fleet.config = config;
  let changed: number;
  try {
    changed = push(fleet, nowMs);
  } catch (error) {
    Object.assign(fleet, { config: previous, linger });
    throw error;
  }
  fleet.gateways = publishedGateways(fleet.gateways, config.gateways, fleet.snapshot?.number ?? 0);
  return changed;
}

/** Makes the fleet's snapshot anew and tells its streams; gives the number of resources that changed. */
function push(fleet: Fleet, nowMs: number): number {
  const { config, snapshot: previous } = fleet;
  if (config === undefined) return 0;
  const snapshot = snapshotOf(withLingering(config, fleet.linger), (previous?.number ?? 0) + 1);
  const change = changesBetween(previous, snapshot);
  // No change, no push (X16); the first is one even if it is empty.
  if (isEmptyChange(change) && previous !== undefined) return 0;
  fleet.snapshot = snapshot;
  forgetProven(fleet.proven, snapshot);
  for (const stream of fleet.streams)
    send(stream, step(stream.state, { kind: "Snapshot", snapshot, change, nowMs }));
  return Object.values(change).reduce((sum, names) => sum + names.length, 0);
}

/** What was proven of virtual hosts that are gone is forgotten now and then. */
function forgetProven(proven: Set<string>, snapshot: Snapshot): void {
  const tables = [...snapshot[xdsType.routeConfiguration].values()];
  const count = tables.reduce((sum, { table }) => sum + (table?.hosts.length ?? 0), 0);
  if (proven.size <= 2 * count + 1_000) return;
  const wanted = new Set(tables.flatMap(({ table }) => table?.hosts.map(({ id }) => id) ?? []));
  for (const id of proven) if (!wanted.has(id)) proven.delete(id);
}

function withLingering(config: FleetConfig, linger: Linger): FleetConfig {
  if (linger.size === 0) return config;
  const listeners = new Map(config.listeners);
  const tables = new Map(config.tables);
  for (const [name, { listener, tables: own }] of linger) {
    listeners.set(name, listener);
    tables.set(name, own);
  }
  return { ...config, listeners, tables };
}

function send(stream: EnvoyStream, responses: readonly StreamResponse[]): void {
  if (responses.length > 0) stream.send(responses);
}
