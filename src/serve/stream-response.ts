/**
 * What a stream may be sent now: make before break.
 *
 *     clusters → endpoints → (gate: acknowledged) → listeners → routes → (gate: acknowledged) → removals
 *
 * Secrets are sent as soon as they are asked for, and never taken away: Envoy gives up those that nothing names any more.
 *
 * A gate gives way after a while, so that an Envoy that is stuck on one resource still gets the others.
 */
import { xdsType } from "../model/xds-types.ts";
import { isWorthAnswering, responseOf } from "./stream-flush.ts";
import { addOrder } from "./snapshot.ts";
import type { SnapshotType } from "./snapshot.ts";
import { awaitHeld, hasChanges, wantedResource } from "./stream-state.ts";
import type { Mark, StreamResponse, StreamState, TypeState } from "./stream-state.ts";

/** How long routes wait for clusters and endpoints that an Envoy does not acknowledge, and removals for routes. */
export const gateTimeoutMs = 5_000;

const { secret, cluster, clusterLoadAssignment, listener, routeConfiguration } = xdsType;

/** The responses that may be sent now, in order. */
export function respond(state: StreamState, nowMs: number): StreamResponse[] {
  const responses: StreamResponse[] = [];
  if (canAdopt(state)) adopt(state, nowMs);
  // Nothing before the first publication: unknown is not empty (X14).
  if (state.snapshot === undefined) return responses;
  for (;;) {
    const before = progress(state);
    responses.push(...flush(state, nowMs));
    noteAnswered(state);
    if (canAdopt(state)) adopt(state, nowMs);
    // Changes that came to nothing (a client that reconnects holds them already) may free removals at once.
    else if (progress(state) === before) return responses;
  }
}

/** What removals wait for. */
function progress(state: StreamState): string {
  return `${answeredNumber(state)} ${state.types[routeConfiguration].unready.size}`;
}

/** Whether time alone can make this stream go on: it has to be given ticks. */
export function isWaiting(state: StreamState): boolean {
  return state.routesWaitSinceMs !== undefined || addOrder.some((type) => hasChanges(state.types[type]));
}

function flush(state: StreamState, nowMs: number): StreamResponse[] {
  noteAnswered(state);
  const responses: StreamResponse[] = [];
  const { types } = state;
  const answered = answeredNumber(state);
  const isOverdue = ({ sinceMs }: Mark): boolean => nowMs - sinceMs >= gateTimeoutMs;
  // Every listener is in force with the routes that no longer name what goes (X2).
  const areRoutesInForce = types[listener].isOpen && types[routeConfiguration].unready.size === 0;
  const areRoutesGone = (mark: Mark): boolean =>
    !areOldRoutesInForce(state) && ((areRoutesInForce && mark.number <= answered) || isOverdue(mark));
  const send = (type: Parameters<typeof responseOf>[1], mayRemove: (mark: Mark) => boolean): void => {
    if (!isWorthAnswering(types[type])) return;
    const response = responseOf(state, type, { mayRemove, mark: { number: 0, sinceMs: nowMs } });
    if (response !== undefined) responses.push(response);
  };
  send(secret, () => false);
  send(cluster, areRoutesGone);
  // Envoy gives up the endpoints of a removed cluster by itself, with its answer to the removal.
  send(clusterLoadAssignment, (mark) => types[cluster].inFlight === undefined && areRoutesGone(mark));
  if (isGateOpen(state, nowMs)) {
    send(listener, () => true);
    send(
      routeConfiguration,
      (mark) =>
        (types[listener].inFlight === undefined && mark.number <= types[listener].answered) ||
        isOverdue(mark),
    );
  }
  return responses;
}

/** Whether the client goes on with listeners or routes that the snapshot no longer holds. */
function areOldRoutesInForce({ types, sifts }: StreamState): boolean {
  return (
    hasRefusedChange(types[listener]) ||
    hasRefusedChange(types[routeConfiguration]) ||
    sifts.values().some(({ isSearching }) => isSearching)
  );
}

/** Whether the client goes on with the last good version of something, which may name what is to be removed (X5). */
function hasRefusedChange({ refused, accepted }: TypeState): boolean {
  return refused.keys().some((name) => accepted.has(name));
}

/** Whether routes may name what the clusters of the snapshot offer (X1); notes since when they may not. */
function isGateOpen(state: StreamState, nowMs: number): boolean {
  const known = state.types[cluster];
  const { unready } = state.types[clusterLoadAssignment];
  const { unready: unreadySecrets } = state.types[secret];
  const areClustersAccepted =
    known.isOpen &&
    known.trials.length === 0 &&
    (known.inFlight?.response.resources.length ?? 0) === 0 &&
    !known.dirty.keys().some((name) => wantedResource(state, cluster, name) !== undefined);
  if (areClustersAccepted && unready.size === 0 && unreadySecrets.size === 0) {
    state.routesWaitSinceMs = undefined;
    return true;
  }
  if (!areRoutesWaiting(state)) return false;
  state.routesWaitSinceMs ??= nowMs;
  if (nowMs - state.routesWaitSinceMs < gateTimeoutMs) return false;
  unready.clear();
  unreadySecrets.clear();
  state.routesWaitSinceMs = undefined;
  return true;
}

/** Whether listeners or routes of the snapshot still have to be sent. */
function areRoutesWaiting(state: StreamState): boolean {
  const routes = state.types[routeConfiguration];
  return (
    hasChanges(state.types[listener]) ||
    state.types[listener].mustAnswer ||
    routes.trials.length > 0 ||
    routes.dirty.keys().some((name) => wantedResource(state, routeConfiguration, name) !== undefined)
  );
}

/** The snapshot whose listeners and routes the client has answered. */
function answeredNumber(state: StreamState): number {
  return Math.min(state.types[listener].answered, state.types[routeConfiguration].answered);
}

/** Where there is nothing to be sent or answered, everything is answered. */
function noteAnswered(state: StreamState): void {
  for (const type of [listener, routeConfiguration] as const) {
    const known = state.types[type];
    const isQuiet =
      known.inFlight === undefined &&
      known.trials.length === 0 &&
      !known.dirty
        .keys()
        .some((name) => type === listener || wantedResource(state, type, name) !== undefined);
    if (isQuiet && state.types[listener].isOpen) known.answered = state.snapshot?.number ?? 0;
  }
}

/** A newer snapshot is taken up when the routes of the one before are on their way. */
function canAdopt(state: StreamState): boolean {
  return state.newest !== state.snapshot && (state.snapshot === undefined || !areRoutesWaiting(state));
}

function adopt(state: StreamState, nowMs: number): void {
  const previous = state.snapshot;
  state.snapshot = state.newest;
  const mark: Mark = { number: state.snapshot?.number ?? 0, sinceMs: nowMs };
  if (stopAwaiting(state) || areOldRoutesInForce(state)) postponeRemovals(state, mark);
  for (const type of addOrder) {
    const known = state.types[type];
    for (const name of state.pending[type]) {
      const version = wantedResource(state, type, name)?.version;
      if (version === undefined) known.unready.delete(name);
      if (version === undefined && type === routeConfiguration) state.sifts.delete(name);
      if (version === undefined && !known.names.has(name)) known.owed.delete(name);
      if (!known.isOpen || (!known.isWildcard && !known.names.has(name))) continue;
      known.dirty.set(name, mark);
      // A route may be on its way to a cluster that had no endpoints so far.
      if (type === clusterLoadAssignment && version !== undefined && known.accepted.get(name) !== version)
        known.unready.add(name);
    }
    state.pending[type].clear();
    if (previous === undefined) awaitHeld(state, type);
  }
}

/**
 * No table is awaited for a listener that is gone, or has another one, before its Envoy asked for it; no secret for a
 * cluster. Tells whether there was such a table: until the newer listeners are acknowledged, its Envoy may go on with what
 * was there before.
 */
function stopAwaiting(state: StreamState): boolean {
  const { unready } = state.types[routeConfiguration];
  const before = unready.size;
  const { snapshot, pending } = state;
  if (pending[listener].size > 0) {
    keepNeeded(state, routeConfiguration, () =>
      snapshot?.[listener].values().flatMap(({ needs }) => needs ?? []),
    );
  }
  if (pending[cluster].size > 0) {
    keepNeeded(state, secret, () => snapshot?.[cluster].values().flatMap(({ secrets }) => secrets ?? []));
  }
  return unready.size < before;
}

/** What is to be removed waits for the answer to this snapshot, as if it had gone with it (X2). */
function postponeRemovals(state: StreamState, { number }: Mark): void {
  for (const type of [cluster, clusterLoadAssignment] as const) {
    const { dirty } = state.types[type];
    for (const [name, { sinceMs }] of dirty)
      if (wantedResource(state, type, name) === undefined) dirty.set(name, { number, sinceMs });
  }
}

function keepNeeded(
  state: StreamState,
  type: SnapshotType,
  needed: () => Iterable<string> | undefined,
): void {
  const { unready } = state.types[type];
  if (unready.size === 0) return;
  const names = new Set(needed());
  for (const name of unready) if (!names.has(name)) unready.delete(name);
}
