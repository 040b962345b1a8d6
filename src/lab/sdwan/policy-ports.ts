/**
 * Which port goes into which tunnel, and in which order that changes: the SD-WAN's own small controller, as a pure step function.
 * Never watches and never runs a command: driver.ts does.
 *
 *     WANPolicies of all clusters ─ chosenPorts ─> wanted ─ step ─> changes, in order
 *
 * A new port is opened and routed before anything is taken away. A port that is gone keeps its way for a while, so that its connections drain.
 * A port that changes its tunnel is routed anew at once and stays open on the old link for the replies that are still on their way.
 */
import { compare } from "../../model/order.ts";

/** How long a port that no policy names any more keeps its way. */
export const DRAIN_MS = 10_000;

/** What the SD-WAN reads of a WANPolicy. */
export interface SeenPolicy {
  readonly cluster: string;
  readonly name: string;
  readonly createdAt: string;
  readonly tunnel: string;
  readonly port: number;
}

/** Tunnel by port. */
export type PortTunnels = ReadonlyMap<number, string>;

/**
 * The tunnel of each port over all clusters: an SD-WAN is one network and answers for both ends of a link. Of two policies on one port the older holds,
 * then by name, then by cluster. Ports whose tunnel the lab doesn't have are left out.
 */
export function chosenPorts(policies: Iterable<SeenPolicy>, tunnels: readonly string[]): Map<number, string> {
  const chosen = new Map<number, string>();
  const inOrder = [...policies].sort(
    (a, b) => compare(a.createdAt, b.createdAt) || compare(a.name, b.name) || compare(a.cluster, b.cluster),
  );
  for (const policy of inOrder) {
    if (!chosen.has(policy.port)) chosen.set(policy.port, policy.tunnel);
  }
  for (const [port, tunnel] of chosen) {
    if (!tunnels.includes(tunnel)) chosen.delete(port);
  }
  return chosen;
}

/** One change to every cluster's namespace. */
export interface PortChange {
  /** open/close: the packet filter of the tunnel's links. route/unroute: the routing rules into the tunnel. */
  readonly kind: "open" | "route" | "unroute" | "close";
  readonly port: number;
  readonly tunnel: string;
}

/** What is in force. `routed`: tunnel by port; `open`: per port and tunnel, when it closes (Infinity: while a policy names it). */
export interface PortState {
  readonly routed: PortTunnels;
  readonly open: readonly { readonly port: number; readonly tunnel: string; readonly closesAtMs: number }[];
}

/** Nothing routed, nothing open. */
export const NO_PORTS: PortState = { routed: new Map(), open: [] };

/** The changes that lead from `state` towards `wanted` at `nowMs`, in the order in which they must be made, and the state after them. */
export function step(
  state: PortState,
  wanted: PortTunnels,
  nowMs: number,
): { state: PortState; changes: PortChange[] } {
  const changes: PortChange[] = [];
  const routed = new Map(state.routed);
  const kept = state.open.map((entry) => ({ ...entry, closesAtMs: deadline(entry, wanted, nowMs) }));
  for (const [port, tunnel] of wanted) {
    if (!kept.some((entry) => entry.port === port && entry.tunnel === tunnel)) {
      changes.push({ kind: "open", port, tunnel });
      kept.push({ port, tunnel, closesAtMs: Infinity });
    }
  }
  for (const [port, tunnel] of wanted) {
    const before = routed.get(port);
    if (before === tunnel) continue;
    changes.push({ kind: "route", port, tunnel });
    if (before !== undefined) changes.push({ kind: "unroute", port, tunnel: before });
    routed.set(port, tunnel);
  }
  for (const { port, tunnel } of kept.filter((entry) => entry.closesAtMs <= nowMs)) {
    if (routed.get(port) === tunnel) {
      changes.push({ kind: "unroute", port, tunnel });
      routed.delete(port);
    }
    changes.push({ kind: "close", port, tunnel });
  }
  return { state: { routed, open: kept.filter((entry) => entry.closesAtMs > nowMs) }, changes };
}

/** A port as the SD-WAN has it: what `mcwan lab status` tells. */
export interface SdwanPort {
  readonly port: number;
  readonly tunnel: string;
  /** `draining`: no policy names it there any more; what is open may end. */
  readonly state: "open" | "draining";
}

/** What is in force, by port, for those who ask. */
export function portsInForce(state: PortState): SdwanPort[] {
  return state.open
    .map(({ port, tunnel, closesAtMs }) => ({
      port,
      tunnel,
      state: closesAtMs === Infinity ? ("open" as const) : ("draining" as const),
    }))
    .sort((a, b) => a.port - b.port || compare(a.tunnel, b.tunnel));
}

/** When the next step has something to do although `wanted` stays the same; Infinity: never. Milliseconds of the clock of `step`. */
export function nextDeadline(state: PortState): number {
  return Math.min(Infinity, ...state.open.map((entry) => entry.closesAtMs));
}

function deadline(entry: PortState["open"][number], wanted: PortTunnels, nowMs: number): number {
  if (wanted.get(entry.port) === entry.tunnel) return Infinity;
  return entry.closesAtMs === Infinity ? nowMs + DRAIN_MS : entry.closesAtMs;
}
