/** Makes one response of one type out of a stream's changes, and notes what was sent. */
import { xdsType } from "../model/xds-types.ts";
import type { Resource } from "./resource.ts";
import type { SnapshotType } from "./snapshot.ts";
import { forget, hasChanges, wantedResource } from "./stream-state.ts";
import type { Mark, StreamResponse, StreamState, TypeState } from "./stream-state.ts";

interface FlushOptions {
  /** Whether what the client holds and should no longer hold may be removed now. */
  readonly mayRemove: (name: string, mark: Mark) => boolean;
  /** For names that become due by this response. */
  readonly mark: Mark;
}

/** Whether a response of the type could be made: at most one of a type is unanswered. */
export function isWorthAnswering(known: TypeState): boolean {
  return known.isOpen && known.inFlight === undefined && (known.mustAnswer || hasChanges(known));
}

/** The next response of the type; undefined if there is nothing to say. */
export function responseOf(
  state: StreamState,
  type: SnapshotType,
  options: FlushOptions,
): StreamResponse | undefined {
  const known = state.types[type];
  const trial = nextTrial(state, type);
  const { resources, removed } = trial ?? changes(state, type, options);
  if (resources.length === 0 && removed.length === 0 && !known.mustAnswer) return undefined;
  known.mustAnswer = false;
  const response: StreamResponse = { type, nonce: String(state.nextNonce), resources, removed };
  state.nextNonce += 1;
  known.inFlight = { response, number: trial === undefined ? state.snapshot?.number : undefined };
  for (const resource of resources) {
    known.sent.set(resource.name, resource.version);
    state.holdings.sent(type, resource);
  }
  for (const name of removed) {
    if (type === xdsType.cluster) {
      const endpoints = state.types[xdsType.clusterLoadAssignment];
      if (!endpoints.names.has(name)) endpoints.owed.delete(name);
      state.holdings.removing(name);
    }
    if (known.names.has(name)) known.sent.set(name, "");
    else known.sent.delete(name);
  }
  awaitNeeded(state, response, options.mark);
  return response;
}

/** The names of the next group of a refused response that are still wanted as they are. */
function nextTrial(
  state: StreamState,
  type: SnapshotType,
): { readonly resources: readonly Resource[]; readonly removed: readonly string[] } | undefined {
  const known = state.types[type];
  for (let group = known.trials.shift(); group !== undefined; group = known.trials.shift()) {
    const resources = group
      .filter((name) => known.sent.has(name))
      .map((name) => wantedResource(state, type, name))
      .filter((resource) => resource !== undefined)
      .filter(({ name, version }) => known.refused.get(name)?.version !== version);
    if (resources.length > 0) return { resources, removed: [] };
  }
  return undefined;
}

function changes(
  state: StreamState,
  type: SnapshotType,
  { mayRemove }: FlushOptions,
): { readonly resources: readonly Resource[]; readonly removed: readonly string[] } {
  const known = state.types[type];
  const resources: Resource[] = [];
  const removed: string[] = [];
  for (const [name, mark] of known.dirty) {
    const resource = wantedResource(state, type, name);
    const held = known.sent.get(name);
    const isOwed = known.owed.has(name);
    if (resource === undefined) {
      const isHeld = held !== undefined && held !== "";
      // What was asked for and does not exist is answered at once (X11); what is held waits (X2).
      if (isHeld && !mayRemove(name, mark)) continue;
      if (isHeld || isOwed) removed.push(name);
    } else if (held === resource.version || known.refused.get(name)?.version === resource.version) {
      known.unready.delete(name);
      if (known.accepted.get(name) === resource.version) state.holdings.accepted(type, resource);
    } else {
      resources.push(resource);
    }
    known.dirty.delete(name);
    known.owed.delete(name);
  }
  return { resources, removed };
}

/**
 * A cluster that is new or changes warms until it has its endpoints, even if those did not change (X3): they are sent
 * again. A listener that is new warms until it has its routes: they are sent when it asks, even if it has had them before.
 */
function awaitNeeded(state: StreamState, { type, resources }: StreamResponse, mark: Mark): void {
  const [endpoints, secrets] = [state.types[xdsType.clusterLoadAssignment], state.types[xdsType.secret]];
  const tables = state.types[xdsType.routeConfiguration];
  for (const { needs = [], secrets: ownSecrets = [] } of resources) {
    if (type === xdsType.listener)
      for (const table of needs) if (!tables.names.has(table)) tables.owed.add(table);
    if (type !== xdsType.cluster) continue;
    for (const need of needs) {
      if (endpoints.names.has(need)) forget(endpoints, need, mark);
      endpoints.unready.add(need);
      endpoints.owed.add(need);
    }
    // What Envoy holds of secrets, its clusters share: it asks only for those that it has not.
    for (const secret of ownSecrets) {
      if (secrets.names.has(secret)) continue;
      secrets.unready.add(secret);
      secrets.owed.add(secret);
    }
  }
}
