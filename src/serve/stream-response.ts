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
import type { Mark, StreamResponse, StreamState } from "./stream-state.ts";

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

/** What removals, and routes that are closed, wait for. */
function progress(state: StreamState): string {
  return `${answeredNumber(state)} ${state.holdings.revision}`;
}

/** Whether time alone can make this stream go on: it has to be given ticks. */
export function isWaiting(state: StreamState): boolean {
  return state.routesWaitSinceMs !== undefined || addOrder.some((type) => hasChanges(state.types[type]));
}

function flush(state: StreamState, nowMs: number): StreamResponse[] {
  noteAnswered(state);
  noteUsable(state);
  const responses: StreamResponse[] = [];
  const { types } = state;
  const isWanted = (name: string): boolean => wantedResource(state, cluster, name) !== undefined;
  let mayName: ((name: string) => boolean) | undefined;
  const mayRemoveCluster = (name: string): boolean => {
    mayName ??= state.holdings.namedClusters(isWanted);
    return !mayName(name);
  };
  const send = (type: SnapshotType, mayRemove: (name: string, mark: Mark) => boolean): void => {
    if (!isWorthAnswering(types[type])) return;
    const response = responseOf(state, type, { mayRemove, mark: { number: 0, sinceMs: nowMs } });
    if (response !== undefined) responses.push(response);
  };
  send(secret, () => false);
  send(cluster, mayRemoveCluster);
  // Envoy gives up the endpoints of a removed cluster by itself, with its answer to the removal. But one that starts may
  // wait for them before it speaks of its listeners.
  const isGoing = (name: string): boolean =>
    types[cluster].sent.has(name) && !isWanted(name) && !state.holdings.isUntold;
  send(clusterLoadAssignment, (name) => types[cluster].inFlight === undefined && !isGoing(name));
  if (isGateOpen(state, nowMs)) {
    closeTables(state, nowMs);
    send(listener, () => true);
    send(
      routeConfiguration,
      (_name, { number, sinceMs }) =>
        (types[listener].inFlight === undefined && number <= types[listener].answered) ||
        nowMs - sinceMs >= gateTimeoutMs,
    );
  }
  return responses;
}

/** Clusters whose endpoints and secrets have been answered are in force. */
function noteUsable({ types, holdings }: StreamState): void {
  const endpoints = types[clusterLoadAssignment].unready;
  const { accepted, refused, sent, unready } = types[secret];
  // A version that is no longer wanted, since the next was refused, may be the only one to need a secret.
  const isSecretAwaited = (name: string): boolean =>
    unready.has(name) || !(accepted.has(name) || refused.has(name) || sent.get(name) === "");
  holdings.warm(
    ({ needs = [], secrets: own = [] }) =>
      needs.some((name) => endpoints.has(name)) || own.some(isSecretAwaited),
  );
}

/** Closes tables where they lead to clusters that the client refuses or lacks (X1), and opens them when it has these. */
function closeTables(state: StreamState, nowMs: number): void {
  const { snapshot, closed, holdings, types } = state;
  const { dirty, trials } = types[routeConfiguration];
  for (const name of new Set([...dirty.keys(), ...trials.flat(), ...closed.keys()])) {
    const whole = snapshot?.[routeConfiguration].get(name);
    const missing = new Set([...(whole?.clusters ?? [])].filter((each) => !holdings.canUse(each)));
    const text = [...missing].sort().join("\n");
    const before = closed.get(name);
    if (before?.whole === whole && before?.missing === text) continue;
    if (whole?.without === undefined || missing.size === 0) {
      if (!closed.delete(name) || whole === undefined) continue;
    } else closed.set(name, { whole, missing: text, resource: whole.without(missing) });
    if (types[routeConfiguration].names.has(name))
      dirty.set(name, dirty.get(name) ?? { number: snapshot?.number ?? 0, sinceMs: nowMs });
  }
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
  const doGiveWay = [unready.giveWay(), unreadySecrets.giveWay()];
  if (doGiveWay.includes(false)) return false;
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
  stopAwaiting(state);
  for (const type of addOrder) {
    const known = state.types[type];
    for (const name of state.pending[type]) {
      const version = wantedResource(state, type, name)?.version;
      if (version === undefined) known.unready.delete(name);
      if (version === undefined && type === routeConfiguration) state.sifts.delete(name);
      // A cluster that the client was sent warms, even if it is there again before the client asks for its endpoints.
      const isWarming = type === clusterLoadAssignment && state.types[cluster].sent.has(name);
      if (version === undefined && !known.names.has(name) && !isWarming) known.owed.delete(name);
      if (!known.isOpen || (!known.isWildcard && !known.names.has(name))) continue;
      known.dirty.set(name, mark);
      // A route may be on its way to a cluster that had no endpoints so far.
      if (type === clusterLoadAssignment && version !== undefined && known.accepted.get(name) !== version)
        known.unready.add(name);
    }
    state.pending[type].clear();
  }
  if (previous === undefined) awaitHeld(state);
}

/** No secret is awaited for a cluster that is gone, or has another one, before its Envoy asked for it. */
function stopAwaiting({ types, snapshot, pending }: StreamState): void {
  const { unready } = types[secret];
  if (pending[cluster].size === 0 || [...unready].length === 0) return;
  const names = new Set(snapshot?.[cluster].values().flatMap(({ secrets }) => secrets ?? []));
  for (const name of unready) if (!names.has(name)) unready.delete(name);
}
