/**
 * Listeners of Gateways: which of them can be served, and why the others can't.
 *
 * Source: Gateway API, Listener.
 */
import { reasons } from "../api/conditions.ts";
import { containerPort, reservedContainerPorts } from "../model/container-ports.ts";
import type { ServedGateway } from "../model/desired.ts";
import { keyOf } from "../model/kube-object.ts";
import type { ObjectMeta } from "../model/kube-object.ts";
import type { Problem } from "../model/problem.ts";
import { gatewayGroup } from "./gateway-api.ts";
import type { GatewayListener } from "./gateway-api.ts";
import type { GatewayTls } from "./gateway-tls.ts";
import { anyHost, normalizeHost, wildcardsAbove } from "./hosts.ts";
import { isAccepted } from "./judged-listener.ts";
import type { JudgedListener, ListenerWay } from "./judged-listener.ts";
import { TakenPlaces, withConflicts } from "./listener-conflicts.ts";
import { listenerKey, parentKey } from "./parents.ts";

type SupportedKind = JudgedListener["supportedKinds"][number];

const httpRoutes: SupportedKind = { group: gatewayGroup, kind: "HTTPRoute" };
const grpcRoutes: SupportedKind = { group: gatewayGroup, kind: "GRPCRoute" };
const tcpRoutes: SupportedKind = { group: gatewayGroup, kind: "TCPRoute" };
const tlsRoutes: SupportedKind = { group: gatewayGroup, kind: "TLSRoute" };

/** Judges the listeners of one Gateway in their order, then those of its ListenerSets. */
export function judgeListeners(
  served: Pick<ServedGateway, "gateway" | "pooled" | "refusal" | "listenerSets">,
  tls: GatewayTls,
): readonly JudgedListener[] {
  const { gateway, listenerSets = [] } = served;
  const owners: readonly Owner[] = [
    { kind: "Gateway", metadata: gateway.metadata, listeners: gateway.spec.listeners },
    ...listenerSets
      .filter(({ isAllowed }) => isAllowed)
      .map(({ set }) => ({
        kind: "ListenerSet" as const,
        metadata: set.metadata,
        listeners: set.spec.listeners,
      })),
  ];
  const judged: JudgedListener[] = [];
  // What came before has the place.
  const before = new TakenPlaces();
  for (const owner of owners) {
    const own = owner.listeners.map((listener) => judgeListener(listener, owner, { ...served, tls }));
    const settled = withConflicts(own, before);
    for (const one of settled) if (isAccepted(one)) before.add(one);
    judged.push(...settled);
  }
  const overlaps = overlapsOf(judged);
  return judged.map((one) => {
    const overlap = overlaps.get(one);
    return overlap === undefined ? one : { ...one, overlap };
  });
}

/** Who has listeners. */
interface Owner {
  readonly kind: "Gateway" | "ListenerSet";
  readonly metadata: ObjectMeta;
  readonly listeners: readonly GatewayListener[];
}

function judgeListener(
  listener: GatewayListener,
  owner: Owner,
  { pooled, refusal: whole, tls }: Pick<ServedGateway, "pooled" | "refusal"> & { readonly tls: GatewayTls },
): JudgedListener {
  const port = pooled === undefined ? containerPort(listener.port) : pooled.containerPorts[listener.name];
  const way = wayOf(listener);
  // At a generated Gateway requests go by the rules of its service's import alone.
  const known = kindsByWay(way).filter(({ kind }) => pooled === undefined || kind !== "GRPCRoute");
  const { supportedKinds, unsupported } = kindsOf(listener, known);
  const parent = parentKey(owner.kind, keyOf(owner.metadata));
  const ownTls = tls.listeners.get(listenerKey(parent, listener.name));
  const refusal = whole === undefined ? (refusalOf(listener, { way, port }) ?? ownTls?.refusal) : notAccepted;
  return {
    listener,
    way,
    hostname: normalizeHost(listener.hostname ?? anyHost),
    owner: parent,
    namespace: owner.metadata.namespace ?? "",
    containerPort: port ?? 0,
    supportedKinds: way === undefined ? [] : supportedKinds,
    ...(ownTls === undefined ? {} : { tls: ownTls }),
    ...(refusal === undefined ? {} : { refusal }),
    ...(unsupported.length === 0 ? {} : { kindProblem: kindProblem(listener.name, unsupported) }),
  };
}

const notAccepted: Problem = {
  reason: reasons.Invalid,
  message: "The Gateway is not accepted: see its conditions.",
};

function wayOf({ protocol, tls }: GatewayListener): ListenerWay | undefined {
  switch (protocol) {
    case "HTTP":
      return "Http";
    case "HTTPS":
      return "Https";
    case "TCP":
      return "Tcp";
    case "TLS":
      return (tls?.mode ?? "Terminate") === "Passthrough" ? "Passthrough" : "Terminate";
    default:
      return undefined;
  }
}

function kindsByWay(way: ListenerWay | undefined): readonly SupportedKind[] {
  if (way === undefined) return [];
  if (way === "Tcp") return [tcpRoutes];
  return way === "Http" || way === "Https" ? [httpRoutes, grpcRoutes] : [tlsRoutes];
}

function refusalOf(
  listener: GatewayListener,
  { way, port }: { way: ListenerWay | undefined; port: number | undefined },
): Problem | undefined {
  if (way === undefined) {
    const message = `Listeners with protocol ${listener.protocol} are not supported in this version: use HTTP, HTTPS, TLS or TCP.`;
    return { reason: reasons.UnsupportedProtocol, message };
  }
  if (way === "Https" && listener.tls?.mode === "Passthrough") {
    const message = "Requests can't be read where TLS passes through: use protocol TLS, or mode Terminate.";
    return { reason: reasons.UnsupportedValue, message };
  }
  if (port === undefined || reservedContainerPorts.has(port)) {
    return {
      reason: reasons.PortUnavailable,
      message: `Port ${listener.port} can't be opened in the gateway's Pod. Choose another.`,
    };
  }
  return undefined;
}

/** Which of the known kinds of routes a listener takes (all, if it says nothing), and what it names beside them. */
function kindsOf(
  listener: GatewayListener,
  known: readonly SupportedKind[],
): { supportedKinds: readonly SupportedKind[]; unsupported: readonly string[] } {
  const asked = listener.allowedRoutes?.kinds ?? [];
  if (asked.length === 0) return { supportedKinds: known, unsupported: [] };
  const isAsked = (one: SupportedKind): boolean =>
    asked.some(({ group = gatewayGroup, kind }) => group === one.group && kind === one.kind);
  const unsupported = asked.filter(
    ({ group = gatewayGroup, kind }) => !known.some((one) => group === one.group && kind === one.kind),
  );
  return { supportedKinds: known.filter(isAsked), unsupported: unsupported.map(({ kind }) => kind) };
}

function kindProblem(name: string, unsupported: readonly string[]): Problem {
  return {
    reason: reasons.InvalidRouteKinds,
    message: `Listener ${name} takes no routes of kind ${unsupported.join(", ")}. Take these out of allowedRoutes.`,
  };
}

/**
 * Clients may reuse a connection for every name in its certificate: where hostnames overlap, requests come to the wrong
 * listener. Two of them do where one is a wildcard above the other. Of several others the first one is told.
 */
function overlapsOf(all: readonly JudgedListener[]): ReadonlyMap<JudgedListener, Problem> {
  const overlaps = new Map<JudgedListener, Problem>();
  const https = all.filter(({ way }) => way === "Https");
  const places = new Map(https.map((one, index) => [one, index]));
  for (const atPort of Map.groupBy(https, ({ listener }) => listener.port).values()) {
    const byHostname = Map.groupBy(atPort, ({ hostname }) => hostname);
    const firstOthers = new Map<string, JudgedListener>();
    const note = (hostname: string, [other]: readonly JudgedListener[]): void => {
      const known = firstOthers.get(hostname);
      if (other === undefined) return;
      if (known === undefined || (places.get(other) ?? 0) < (places.get(known) ?? 0))
        firstOthers.set(hostname, other);
    };
    for (const [hostname, own] of byHostname) {
      for (const wildcard of wildcardsAbove(hostname)) {
        note(hostname, byHostname.get(wildcard) ?? []);
        if (byHostname.has(wildcard)) note(wildcard, own);
      }
    }
    for (const one of atPort) {
      const other = firstOthers.get(one.hostname);
      if (other !== undefined) overlaps.set(one, overlapOf(one, other));
    }
  }
  return overlaps;
}

function overlapOf(one: JudgedListener, other: JudgedListener): Problem {
  const message = `Hostnames of listeners ${one.listener.name} and ${other.listener.name} overlap: a request that comes over a connection of the other one is answered with 421.`;
  return { reason: reasons.OverlappingHostnames, message };
}
