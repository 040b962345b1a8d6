/** Makes one response of one type out of a stream's changes, and notes what was sent. */
import { xdsType } from "../model/xds-types.ts";
import type { Resource } from "./resource.ts";
import type { SnapshotType } from "./snapshot.ts";
import { forget, hasChanges, neededType, wantedResource } from "./stream-state.ts";
import type { Mark, StreamResponse, StreamState, TypeState } from "./stream-state.ts";

interface FlushOptions {
  /** Whether what the client holds and should no longer hold may be removed now. */
  readonly mayRemove: (mark: Mark) => boolean;
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
  for (const resource of resources) known.sent.set(resource.name, resource.version);
  for (const name of removed) {
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
      if (isHeld && !mayRemove(mark)) continue;
      if (isHeld || isOwed) removed.push(name);
    } else if (held === resource.version || known.refused.get(name)?.version === resource.version) {
      known.unready.delete(name);
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
 * again. A listener that is new warms until it has its routes.
 */
function awaitNeeded(state: StreamState, response: StreamResponse, mark: Mark): void {
  const needed = neededType(response.type);
  if (needed === undefined) return;
  for (const { needs = [], secrets = [] } of response.resources) {
    for (const need of needs)
      awaitOne(state.types[needed], need, { isCluster: response.type === xdsType.cluster, mark });
    // What Envoy holds of secrets, its clusters share: it asks only for those that it has not.
    for (const secret of secrets) awaitOne(state.types[xdsType.secret], secret, { isCluster: false, mark });
  }
}

function awaitOne(
  known: TypeState,
  name: string,
  { isCluster, mark }: { readonly isCluster: boolean; readonly mark: Mark },
): void {
  const isAskedFor = known.names.has(name);
  if (isAskedFor && isCluster) forget(known, name, mark);
  if (!isAskedFor || isCluster) known.unready.add(name);
  if (!isAskedFor) known.owed.add(name);
}
