/**
 * What one delta ADS stream knows of its Envoy: the words of the step function in ads-stream.ts.
 *
 * The state belongs to its stream and is changed in place (a stream may hold thousands of names). It never holds more
 * than names and versions, one unanswered response per type, and the snapshots that its fleet holds anyway.
 */
import { xdsType } from "../model/xds-types.ts";
import { Awaited } from "./awaited.ts";
import { Holdings } from "./holdings.ts";
import type { Resource } from "./resource.ts";
import { promptTypes } from "./snapshot.ts";
import type { Snapshot, SnapshotType } from "./snapshot.ts";
import { TableSift } from "./table-sift.ts";

/** A DeltaDiscoveryRequest, as far as the protocol cares. */
export interface StreamRequest {
  readonly type: SnapshotType;
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
  /** Only meaningful in the first request of a type: what the client still holds from an earlier stream. */
  readonly initialVersions: ReadonlyMap<string, string>;
  /** Of the response that this answers; empty otherwise. */
  readonly nonce: string;
  /** Set in a NACK: why the response was refused. */
  readonly error?: string;
}

/** A DeltaDiscoveryResponse to be sent. */
export interface StreamResponse {
  readonly type: SnapshotType;
  readonly nonce: string;
  readonly resources: readonly Resource[];
  readonly removed: readonly string[];
}

/** Since when a name may differ from what the client holds. */
export interface Mark {
  /** Number of the snapshot that changed it. */
  readonly number: number;
  readonly sinceMs: number;
}

/** A response that has no answer yet. */
interface InFlight {
  readonly response: StreamResponse;
  /** Its snapshot; undefined for a trial, which holds only some of the changes. */
  readonly number: number | undefined;
}

/** What a client refused and must not get again, and its own words. */
interface Refusal {
  readonly version: string;
  readonly reason: string;
}

/** What one stream knows of one type. */
export interface TypeState {
  /** The client asked for this type at all. */
  isOpen: boolean;
  isWildcard: boolean;
  /** Names that the client asked for by name. */
  readonly names: Set<string>;
  /** What the client holds or was sent last: name → version; "" for "does not exist". */
  readonly sent: Map<string, string>;
  /** What the client has accepted: name → version. */
  readonly accepted: Map<string, string>;
  readonly refused: Map<string, Refusal>;
  /** Names to look at: may differ between `sent` and the snapshot. */
  readonly dirty: Map<string, Mark>;
  /** Names that must be answered even where there is nothing (X8, X11). */
  readonly owed: Set<string>;
  inFlight: InFlight | undefined;
  /** Names of a refused response in ever smaller groups, to be tried again until the bad one is alone. */
  readonly trials: string[][];
  /** Names without which a new cluster is not in force: of its endpoints and secrets. */
  readonly unready: Awaited;
  /** Number of the snapshot up to which the client has answered every change. */
  answered: number;
  /** A client that starts waits for a first answer even if there is nothing for it. */
  mustAnswer: boolean;
}

/** A route table that is closed in part. */
interface ClosedTable {
  readonly whole: Resource;
  /** The missing clusters. */
  readonly missing: string;
  readonly resource: Resource;
}

/** One stream. */
export interface StreamState {
  /** What the stream is being brought to; stays until its routes are sent, so that a busy fleet can't starve them. */
  snapshot: Snapshot | undefined;
  /** The fleet's newest: endpoints always come from it. */
  newest: Snapshot | undefined;
  /** Names in which `newest` differs from `snapshot`, by type. */
  readonly pending: Readonly<Record<SnapshotType, Set<string>>>;
  readonly types: Readonly<Record<SnapshotType, TypeState>>;
  readonly holdings: Holdings;
  /** Route tables that lead to clusters which the client can't use: in place of these, the same closed there. */
  readonly closed: Map<string, ClosedTable>;
  /** By route table that the client asked for: which of its virtual hosts it takes. */
  readonly sifts: Map<string, TableSift>;
  /** Ids of virtual hosts that some Envoy of the fleet has accepted; shared by its streams. */
  readonly proven: Set<string>;
  nextNonce: number;
  /** Since when routes wait for clusters and endpoints. */
  routesWaitSinceMs: number | undefined;
}

/** The state of a stream that has just been opened. */
export function newStream(snapshot: Snapshot | undefined, proven = new Set<string>()): StreamState {
  return {
    snapshot,
    newest: snapshot,
    pending: byType(() => new Set<string>()),
    types: byType(newType),
    holdings: new Holdings(),
    closed: new Map(),
    sifts: new Map(),
    proven,
    nextNonce: 1,
    routesWaitSinceMs: undefined,
  };
}

/** The resource that the client should have under this name, if any. */
export function wantedResource(state: StreamState, type: SnapshotType, name: string): Resource | undefined {
  const resource = state.snapshot?.[type].get(name);
  // A new cluster's endpoints may be gone from the newest snapshot again; the one we work on still needs them.
  if (isPrompt(type)) return state.newest?.[type].get(name) ?? resource;
  if (type !== xdsType.routeConfiguration) return resource;
  const open = openTable(state, name);
  return open === undefined ? undefined : (state.sifts.get(name)?.wanted(open) ?? open);
}

/** The snapshot's route table, closed where it leads to what the client can't use. */
export function openTable({ snapshot, closed }: StreamState, name: string): Resource | undefined {
  const whole = snapshot?.[xdsType.routeConfiguration].get(name);
  const made = closed.get(name);
  return made !== undefined && made.whole === whole ? made.resource : whole;
}

/** What is known of the client's share of a route table. */
export function siftOf(state: StreamState, name: string): TableSift {
  let sift = state.sifts.get(name);
  if (sift === undefined) {
    sift = new TableSift(state.proven);
    state.sifts.set(name, sift);
  }
  return sift;
}

/** Whether resources of the type come from the newest snapshot at once. */
const isPrompt = (type: SnapshotType): boolean => (promptTypes as readonly string[]).includes(type);

/** Whether any change still has to be sent or tried. */
export function hasChanges(known: TypeState): boolean {
  return known.dirty.size > 0 || known.trials.length > 0;
}

/**
 * Clusters that a client holds when it reconnects need their endpoints and secrets, for which it asks again with its next
 * requests. Until then nobody knows whether it can use them, so nothing that leads there is sent, however long it takes.
 */
export function awaitHeld({ snapshot, types, holdings }: StreamState): void {
  const [endpoints, secrets] = [types[xdsType.clusterLoadAssignment], types[xdsType.secret]];
  for (const name of types[xdsType.cluster].sent.keys()) {
    const resource = snapshot?.[xdsType.cluster].get(name);
    if (resource === undefined) continue;
    holdings.warming(resource);
    for (const need of resource.needs ?? []) if (!endpoints.names.has(need)) endpoints.unready.insist(need);
    for (const secret of resource.secrets ?? [])
      if (!secrets.names.has(secret)) secrets.unready.insist(secret);
  }
}

/** The client may have dropped it: it is sent again even if unchanged, and answered even if it doesn't exist (X8). */
export function forget(known: TypeState, name: string, mark: Mark): void {
  known.sent.delete(name);
  known.refused.delete(name);
  known.owed.add(name);
  known.dirty.set(name, mark);
}

function newType(): TypeState {
  return {
    isOpen: false,
    isWildcard: false,
    names: new Set(),
    sent: new Map(),
    accepted: new Map(),
    refused: new Map(),
    dirty: new Map(),
    owed: new Set(),
    inFlight: undefined,
    trials: [],
    unready: new Awaited(),
    answered: 0,
    mustAnswer: false,
  };
}

function byType<T>(make: () => T): Record<SnapshotType, T> {
  return {
    [xdsType.secret]: make(),
    [xdsType.cluster]: make(),
    [xdsType.clusterLoadAssignment]: make(),
    [xdsType.listener]: make(),
    [xdsType.routeConfiguration]: make(),
  };
}
