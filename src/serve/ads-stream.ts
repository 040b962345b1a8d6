/**
 * One delta ADS stream, as a step function: (state, event) → responses. No clock, no network: time comes with the event.
 *
 *     request ─┐                 ┌─ additions: clusters, endpoints; once acknowledged: listeners, routes
 *     snapshot ┼─→ step(state) ──┤
 *     tick ────┘                 └─ removals of clusters and endpoints: once listeners and routes are acknowledged
 *
 * The same events give the same responses. At most one response of a type is unanswered, so a slow Envoy costs one
 * response of memory and gets the newest state next. The rules (X1-X18) are in docs/xds.md.
 */
import { addOrder, promptTypes } from "./snapshot.ts";
import type { Snapshot, SnapshotChange } from "./snapshot.ts";
import { respond } from "./stream-response.ts";
import { takeRequest } from "./stream-request.ts";
import type { StreamRequest, StreamResponse, StreamState } from "./stream-state.ts";

export type StreamEvent =
  | { readonly kind: "Request"; readonly request: StreamRequest; readonly nowMs: number }
  | {
      readonly kind: "Snapshot";
      readonly snapshot: Snapshot;
      readonly change: SnapshotChange;
      readonly nowMs: number;
    }
  | { readonly kind: "Tick"; readonly nowMs: number };

/** Takes one event and gives the responses that may be sent now, in order. */
export function step(state: StreamState, event: StreamEvent): StreamResponse[] {
  switch (event.kind) {
    case "Request":
      takeRequest(state, event.request, event.nowMs);
      break;
    case "Snapshot":
      takeSnapshot(state, event);
      break;
    case "Tick":
      break;
  }
  return respond(state, event.nowMs);
}

function takeSnapshot(state: StreamState, event: StreamEvent & { readonly kind: "Snapshot" }): void {
  const { snapshot, change, nowMs } = event;
  const isFirst = state.newest === undefined;
  state.newest = snapshot;
  for (const type of addOrder) {
    const known = state.types[type];
    const names = isFirst ? [...snapshot[type].keys(), ...known.sent.keys(), ...known.names] : change[type];
    for (const name of names) state.pending[type].add(name);
  }
  for (const type of state.snapshot === undefined ? [] : promptTypes) {
    const { names, dirty } = state.types[type];
    for (const name of change[type])
      if (names.has(name)) dirty.set(name, { number: snapshot.number, sinceMs: nowMs });
  }
}
