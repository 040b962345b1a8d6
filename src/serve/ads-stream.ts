/**
 * One delta ADS stream, as a step function: (state, event) → responses. No clock, no network: time comes with the event.
 *
 *     request ─┐                 ┌─ additions: CDS, then EDS, then LDS and RDS
 *     snapshot ┼─→ step(state) ──┤
 *     tick ────┘                 └─ removals of CDS and EDS: after LDS and RDS were acknowledged
 *
 * The state belongs to its stream and is changed in place (a stream may hold thousands of names); the same events give
 * the same responses. At most one response of a type is unacknowledged, so a slow Envoy costs one response of memory and
 * gets the newest state next. Rules X1-X13 of the xDS protocol as docs/xds.md lists them.
 */
import { xdsType } from "../model/xds-types.ts";
import type { Resource } from "./resource.ts";
import { addOrder } from "./snapshot.ts";
import type { Snapshot, SnapshotChange, SnapshotType } from "./snapshot.ts";

/** How long routes wait for clusters and endpoints that an Envoy does not acknowledge, and removals for routes. */
export const gateTimeoutMs = 5_000;

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

export type StreamEvent =
  | { readonly kind: "Request"; readonly request: StreamRequest; readonly nowMs: number }
  | {
      readonly kind: "Snapshot";
      readonly snapshot: Snapshot;
      readonly change: SnapshotChange;
      readonly nowMs: number;
    }
  | { readonly kind: "Tick"; readonly nowMs: number };

/** What one stream knows of one type. */
interface TypeState {
  /** The client asked for this type at all. */
  isOpen: boolean;
  isWildcard: boolean;
  readonly names: Set<string>;
  /** What the client holds or was sent last: name → version; "" for "does not exist". */
  readonly sent: Map<string, string>;
  /** What the client has accepted. */
  readonly accepted: Map<string, string>;
  /** What the client refused and must not get again: name → version. */
  readonly refused: Map<string, string>;
  /** Names to look at: may differ between `sent` and the snapshot. */
  readonly dirty: Set<string>;
  inFlight: StreamResponse | undefined;
  /** An Envoy that starts waits for a first answer even if there is nothing for it. */
  mustAnswer: boolean;
}

export interface StreamState {
  snapshot: Snapshot | undefined;
  readonly types: Readonly<Record<SnapshotType, TypeState>>;
  nextNonce: number;
  /** Since when a gate (routes waiting for clusters, removals waiting for routes) is shut. */
  gateSinceMs: number | undefined;
  /** The last NACK that no ACK of the same type has followed. */
  readonly refusals: Map<SnapshotType, string>;
}

const newType = (): TypeState => ({
  isOpen: false,
  isWildcard: false,
  names: new Set(),
  sent: new Map(),
  accepted: new Map(),
  refused: new Map(),
  dirty: new Set(),
  inFlight: undefined,
  mustAnswer: false,
});

/** The state of a stream that has just been opened. */
export function newStream(snapshot: Snapshot | undefined): StreamState {
  return {
    snapshot,
    types: {
      [xdsType.cluster]: newType(),
      [xdsType.clusterLoadAssignment]: newType(),
      [xdsType.listener]: newType(),
      [xdsType.routeConfiguration]: newType(),
    },
    nextNonce: 1,
    gateSinceMs: undefined,
    refusals: new Map(),
  };
}

/** Takes one event and gives the responses that may be sent now, in order. */
export function step(state: StreamState, event: StreamEvent): StreamResponse[] {
  switch (event.kind) {
    case "Request":
      takeRequest(state, event.request);
      break;
    case "Snapshot":
      takeSnapshot(state, event.snapshot, event.change);
      break;
    case "Tick":
      break;
  }
  return respond(state, event.nowMs);
}

function takeSnapshot(state: StreamState, snapshot: Snapshot, change: SnapshotChange): void {
  const isFirst = state.snapshot === undefined;
  state.snapshot = snapshot;
  for (const type of addOrder) {
    const known = state.types[type];
    for (const name of isFirst
      ? [...snapshot[type].keys(), ...known.sent.keys(), ...known.names]
      : change[type]) {
      if (known.isOpen && isWanted(known, name)) known.dirty.add(name);
    }
  }
}

function isWanted(known: TypeState, name: string): boolean {
  return known.isWildcard || known.names.has(name) || known.sent.has(name);
}

function takeRequest(state: StreamState, request: StreamRequest): void {
  const known = state.types[request.type];
  if (!known.isOpen) openType(state, known, request);
  else takeSubscriptions(known, request);
  const { inFlight } = known;
  // The subscription is honoured even where the nonce is stale; the answer counts only for the response in flight (X7).
  if (request.nonce !== inFlight?.nonce) return;
  known.inFlight = undefined;
  if (request.error === undefined) accept(state, known, inFlight);
  else refuse(state, { known, response: inFlight, error: request.error });
}

/** First request of a type: an empty subscription is the wildcard for listeners and clusters (X9). */
function openType(state: StreamState, known: TypeState, request: StreamRequest): void {
  known.isOpen = true;
  const mayBeWildcard = request.type === xdsType.listener || request.type === xdsType.cluster;
  known.isWildcard = request.subscribe.includes("*") || (mayBeWildcard && request.subscribe.length === 0);
  known.mustAnswer = known.isWildcard && request.initialVersions.size === 0;
  for (const name of request.subscribe) if (name !== "*") known.names.add(name);
  for (const [name, version] of request.initialVersions) {
    known.sent.set(name, version);
    known.accepted.set(name, version);
    known.dirty.add(name);
  }
  for (const name of known.names) known.dirty.add(name);
  if (known.isWildcard) for (const name of state.snapshot?.[request.type].keys() ?? []) known.dirty.add(name);
}

function takeSubscriptions(known: TypeState, request: StreamRequest): void {
  for (const name of request.unsubscribe) {
    if (name === "*") known.isWildcard = false;
    // A name that the wildcard still covers must be answered (X8); another is forgotten.
    const wasSubscribed = known.names.delete(name);
    if (known.isWildcard) {
      if (wasSubscribed) forget(known, name);
    } else {
      known.sent.delete(name);
      known.accepted.delete(name);
      known.refused.delete(name);
      known.dirty.delete(name);
    }
  }
  for (const name of request.subscribe) {
    if (name === "*") known.isWildcard = true;
    else {
      known.names.add(name);
      forget(known, name);
    }
  }
}

/** The client may have dropped it: it is sent again even if unchanged (X8). */
function forget(known: TypeState, name: string): void {
  known.sent.delete(name);
  known.refused.delete(name);
  known.dirty.add(name);
}

function accept(state: StreamState, known: TypeState, response: StreamResponse): void {
  state.refusals.delete(response.type);
  for (const resource of response.resources) known.accepted.set(resource.name, resource.version);
  for (const name of response.removed) known.accepted.delete(name);
}

/** The client keeps its last good resources; the same bytes are not sent again, a change is (X5). */
function refuse(
  state: StreamState,
  nack: { known: TypeState; response: StreamResponse; error: string },
): void {
  const { known, response, error } = nack;
  state.refusals.set(response.type, error);
  for (const resource of response.resources) known.refused.set(resource.name, resource.version);
}

function respond(state: StreamState, nowMs: number): StreamResponse[] {
  const { snapshot } = state;
  // Nothing before the first publication: unknown is not empty (X14).
  if (snapshot === undefined) return [];
  const responses: StreamResponse[] = [];
  const send = (type: SnapshotType, phase: Phase): void => {
    const response = responseOf(state, snapshot, { type, phase });
    if (response !== undefined) responses.push(response);
  };
  send(xdsType.cluster, "Add");
  send(xdsType.clusterLoadAssignment, "Add");
  const isOverdue = state.gateSinceMs !== undefined && nowMs - state.gateSinceMs >= gateTimeoutMs;
  const areClustersReady = isSettled(state, snapshot, [xdsType.cluster, xdsType.clusterLoadAssignment]);
  if (areClustersReady || isOverdue) {
    send(xdsType.listener, "All");
    send(xdsType.routeConfiguration, "All");
  }
  const areRoutesReady =
    areClustersReady && isSettled(state, snapshot, [xdsType.listener, xdsType.routeConfiguration]);
  if (areRoutesReady || isOverdue) {
    send(xdsType.cluster, "All");
    send(xdsType.clusterLoadAssignment, "All");
  }
  const isWaiting = addOrder.some((type) => state.types[type].dirty.size > 0);
  state.gateSinceMs = isWaiting ? (state.gateSinceMs ?? nowMs) : undefined;
  return responses;
}

/** `Add`: no removals. `All`: removals as well. */
type Phase = "Add" | "All";

/** Whether the client has acknowledged every addition of these types. */
function isSettled(state: StreamState, snapshot: Snapshot, types: readonly SnapshotType[]): boolean {
  return types.every((type) => {
    const known = state.types[type];
    if (!known.isOpen) return type !== xdsType.cluster && type !== xdsType.listener;
    if (known.inFlight !== undefined) return false;
    if (type === xdsType.clusterLoadAssignment && !hasEveryAssignment(state, snapshot)) return false;
    for (const name of known.dirty) if (snapshot[type].has(name)) return false;
    return true;
  });
}

/** A new cluster's Envoy asks for its endpoints after the cluster: until then the cluster is not warm. */
function hasEveryAssignment(state: StreamState, snapshot: Snapshot): boolean {
  const clusters = state.types[xdsType.cluster];
  const { names } = state.types[xdsType.clusterLoadAssignment];
  const assignments = snapshot[xdsType.clusterLoadAssignment];
  for (const name of assignments.keys()) {
    if (!names.has(name) && clusters.accepted.has(name)) return false;
  }
  return true;
}

function responseOf(
  state: StreamState,
  snapshot: Snapshot,
  wanted: { readonly type: SnapshotType; readonly phase: Phase },
): StreamResponse | undefined {
  const { type, phase } = wanted;
  const known = state.types[type];
  if (!known.isOpen || known.inFlight !== undefined) return undefined;
  const resources: Resource[] = [];
  const removed: string[] = [];
  for (const name of known.dirty) {
    const resource = snapshot[type].get(name);
    const isNew = !known.sent.has(name);
    if (resource === undefined) {
      // A name that was asked for and does not exist is answered at once (X11); one that is held waits (X2).
      if (phase !== "All" && !isNew) continue;
      known.dirty.delete(name);
      if (known.sent.get(name) === "" || (isNew && !known.names.has(name))) continue;
      removed.push(name);
    } else {
      known.dirty.delete(name);
      if (known.sent.get(name) === resource.version || known.refused.get(name) === resource.version) continue;
      resources.push(resource);
    }
  }
  if (resources.length === 0 && removed.length === 0 && !known.mustAnswer) return undefined;
  known.mustAnswer = false;
  const response: StreamResponse = { type, nonce: String(state.nextNonce), resources, removed };
  state.nextNonce += 1;
  known.inFlight = response;
  for (const resource of resources) known.sent.set(resource.name, resource.version);
  for (const name of removed) {
    if (known.names.has(name)) known.sent.set(name, "");
    else known.sent.delete(name);
  }
  if (type === xdsType.cluster) resendAssignments(state, resources);
  return response;
}

/** An EDS cluster that changes warms again and waits for its endpoints, even if those did not change (X3). */
function resendAssignments(state: StreamState, clusters: readonly Resource[]): void {
  const assignments = state.types[xdsType.clusterLoadAssignment];
  for (const { name } of clusters) if (assignments.names.has(name)) forget(assignments, name);
}
