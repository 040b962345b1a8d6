/**
 * What a request does to a stream: its subscriptions, and the answer (ACK, NACK) to the response in flight. Sends nothing.
 */
import { xdsType } from "../model/xds-types.ts";
import type { Resource } from "./resource.ts";
import type { SnapshotType } from "./snapshot.ts";
import { awaitHeld, forget, siftOf, wantedResource } from "./stream-state.ts";
import type { Mark, StreamRequest, StreamResponse, StreamState, TypeState } from "./stream-state.ts";
import { TableSift } from "./table-sift.ts";

/** Longest reason that is kept of a NACK, in characters: Envoy may quote whole resources. */
const maxReasonLength = 512;

/** In place of a version where the client may or may not have taken up what it was sent. */
const unknownVersion = "?";

/** Takes a request: subscriptions first, then the answer that it may hold. */
export function takeRequest(state: StreamState, request: StreamRequest, nowMs: number): void {
  const known = state.types[request.type];
  const mark: Mark = { number: state.snapshot?.number ?? 0, sinceMs: nowMs };
  if (known.isOpen) takeSubscriptions(state, request, mark);
  else open(state, request, mark);
  if (request.type === xdsType.routeConfiguration) noteTables(state, request);
  if (request.type === xdsType.secret && request.unsubscribe.length > 0) awaitGivenUp(state, request);
  const { inFlight } = known;
  // The subscription is honoured even where the nonce is stale; the answer counts only for the response in flight (X7).
  if (inFlight?.response.nonce !== request.nonce) return;
  known.inFlight = undefined;
  if (request.error === undefined) accept(state, inFlight.response);
  else refuse(state, inFlight.response, request.error);
  if (inFlight.number !== undefined && known.trials.length === 0) known.answered = inFlight.number;
}

/** First request of a type: an empty subscription is the wildcard for listeners and clusters (X9). */
function open(state: StreamState, request: StreamRequest, mark: Mark): void {
  const { type, subscribe, initialVersions } = request;
  const known = state.types[type];
  const mayBeWildcard = type === xdsType.listener || type === xdsType.cluster;
  known.isOpen = true;
  known.isWildcard = subscribe.includes("*") || (mayBeWildcard && subscribe.length === 0);
  known.mustAnswer = known.isWildcard && initialVersions.size === 0;
  for (const name of subscribe) if (name !== "*") known.names.add(name);
  for (const [name, version] of initialVersions) {
    if (!known.isWildcard && !known.names.has(name)) continue;
    known.accepted.set(name, version);
    state.holdings.claimed(type, name);
    known.dirty.set(name, mark);
    // Endpoints of a cluster that was sent on this stream are owed, even if the client has had them before (X3).
    if (!known.owed.has(name)) known.sent.set(name, version);
  }
  for (const name of known.names) {
    known.dirty.set(name, mark);
    if (!initialVersions.has(name)) known.owed.add(name);
  }
  if (known.isWildcard) for (const name of state.snapshot?.[type].keys() ?? []) known.dirty.set(name, mark);
  state.holdings.told(type);
  if (type === xdsType.cluster) awaitHeld(state);
}

function takeSubscriptions(state: StreamState, request: StreamRequest, mark: Mark): void {
  const known = state.types[request.type];
  const drop = (name: string): void => {
    dropName(state, request.type, name);
  };
  for (const name of request.unsubscribe) {
    if (name === "*") dropWildcard(known, drop);
    // A name that the wildcard still covers must be answered (X8); another is forgotten; one never asked for is ignored.
    else if (known.names.delete(name)) {
      if (known.isWildcard) forget(known, name, mark);
      else drop(name);
    }
  }
  for (const name of request.subscribe) {
    if (name === "*") known.isWildcard = true;
    else {
      known.names.add(name);
      forget(known, name, mark);
    }
  }
}

function dropWildcard(known: TypeState, drop: (name: string) => void): void {
  known.isWildcard = false;
  for (const name of [...known.sent.keys(), ...known.dirty.keys()]) if (!known.names.has(name)) drop(name);
}

function dropName({ types, holdings }: StreamState, type: SnapshotType, name: string): void {
  const known = types[type];
  holdings.dropped(type, name);
  known.sent.delete(name);
  known.accepted.delete(name);
  known.refused.delete(name);
  known.dirty.delete(name);
  known.owed.delete(name);
}

function accept(state: StreamState, response: StreamResponse): void {
  const known = state.types[response.type];
  for (const resource of response.resources) {
    const { name, version } = resource;
    // Not if it was given up or asked for anew while the response was on its way.
    if (known.sent.get(name) !== version) continue;
    if (resource.table !== undefined) tableAccepted(state, resource);
    state.holdings.accepted(response.type, resource);
    known.accepted.set(name, version);
    known.refused.delete(name);
    known.unready.delete(name);
  }
  forgetRemoved(state, response);
}

/**
 * Envoy names a bad resource only in prose, and may have dropped good ones of the same response. So its resources are
 * tried again in halves until a bad one is alone: only that one is refused, and its bytes are not sent again (X5, X6).
 */
function refuse(state: StreamState, response: StreamResponse, reason: string): void {
  const known = state.types[response.type];
  forgetRemoved(state, response);
  // Not what was given up or asked for anew while the response was on its way.
  const suspects = response.resources.filter(({ name, version }) => known.sent.get(name) === version);
  const [first] = suspects;
  if (first === undefined) return;
  if (response.resources.length > 1) {
    const names = suspects.map(({ name }) => name);
    // Envoy may have dropped what came after the bad one: whether it holds this is unknown until it is tried.
    for (const name of names) known.sent.set(name, unknownVersion);
    const middle = Math.ceil(names.length / 2);
    known.trials.unshift(names.slice(0, middle), names.slice(middle));
    return;
  }
  state.holdings.refused(response.type, first);
  const said = shortened(reason);
  const sift = first.table === undefined ? undefined : siftOf(state, first.name);
  if (sift?.refused(first, said) === true) {
    tryNext(state, first.name, sift);
    return;
  }
  known.refused.set(first.name, { version: first.version, reason: said });
  known.unready.delete(first.name);
  // An earlier version that the Envoy has may still wait for its endpoints.
  if (response.type === xdsType.cluster && !known.accepted.has(first.name))
    for (const need of first.needs ?? []) state.types[xdsType.clusterLoadAssignment].unready.delete(need);
  for (const secret of first.secrets ?? []) state.types[xdsType.secret].unready.delete(secret);
}

/** What the client gave up while something new that needs it was on its way will be asked for again. */
function awaitGivenUp({ snapshot, types }: StreamState, { unsubscribe }: StreamRequest): void {
  const { names, unready } = types[xdsType.secret];
  const stillNeeded = new Set(snapshot?.[xdsType.cluster].values().flatMap(({ secrets }) => secrets ?? []));
  for (const name of unsubscribe) if (stillNeeded.has(name) && !names.has(name)) unready.add(name);
}

/** Envoy may quote the whole resource, and say what is wrong with it before or after. */
function shortened(reason: string): string {
  if (reason.length <= maxReasonLength) return reason;
  const half = maxReasonLength / 2 - 2;
  return `${reason.slice(0, half)} … ${reason.slice(-half)}`;
}

/** Of route tables that are given up, or may have been dropped, nothing is known any more. */
function noteTables(state: StreamState, { subscribe, unsubscribe, initialVersions }: StreamRequest): void {
  for (const name of unsubscribe) state.sifts.delete(name);
  for (const name of subscribe) {
    const version = initialVersions.get(name);
    if (version === undefined) state.sifts.get(name)?.forget();
    else state.sifts.set(name, new TableSift(state.proven, version));
  }
}

function tableAccepted(state: StreamState, resource: Resource): void {
  const sift = siftOf(state, resource.name);
  const wasSearching = sift.isSearching;
  sift.accepted(resource);
  if (wasSearching) tryNext(state, resource.name, sift);
}

/** While it is sought what a client refuses in a table, each answer leads to the next try. */
function tryNext(state: StreamState, name: string, sift: TableSift): void {
  for (;;) {
    const wanted = wantedResource(state, xdsType.routeConfiguration, name);
    if (wanted === undefined) return;
    if (!sift.holds(wanted)) {
      state.types[xdsType.routeConfiguration].trials.unshift([name]);
      return;
    }
    if (!sift.isSearching) return;
    sift.skip();
  }
}

function forgetRemoved({ types, holdings }: StreamState, response: StreamResponse): void {
  const known = types[response.type];
  for (const name of response.removed) {
    if (known.sent.has(name) && known.sent.get(name) !== "") continue;
    // What needs it was sent while this was on its way.
    if (known.owed.has(name)) continue;
    known.unready.delete(name);
    // Envoy goes on with routes as long as a listener of its wants them.
    if (response.type === xdsType.routeConfiguration && known.names.has(name)) continue;
    holdings.dropped(response.type, name);
    known.accepted.delete(name);
    known.refused.delete(name);
  }
}
