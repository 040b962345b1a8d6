/**
 * Listeners of Gateways: which of them can be served, and why the others can't.
 *
 * Source: Gateway API, Listener.
 */
import { reasons } from "../api/conditions.ts";
import { containerPort, reservedContainerPorts } from "../model/container-ports.ts";
import type { ServedGateway } from "../model/desired.ts";
import type { AnyRouteKind } from "../model/kinds.ts";
import { keyOf } from "../model/kube-object.ts";
import type { ObjectMeta } from "../model/kube-object.ts";
import type { Problem } from "../model/problem.ts";
import { gatewayGroup } from "./gateway-api.ts";
import type { GatewayListener } from "./gateway-api.ts";
import type { GatewayTls, ListenerTls } from "./gateway-tls.ts";
import { anyHost, normalizeHost, wildcardsAbove } from "./hosts.ts";
import { listenerKey, parentKey } from "./parents.ts";
import type { ParentKey } from "./parents.ts";

/** What becomes of connections: HTTP in plain text or in TLS, a stream out of TLS, or TLS as it comes. */
type ListenerWay = "Http" | "Https" | "Terminate" | "Passthrough";

/** A listener of a Gateway with what was found out about it. */
export interface JudgedListener {
  readonly listener: GatewayListener;
  /** Undefined: of a protocol that is not carried. */
  readonly way: ListenerWay | undefined;
  /** In lower case; `*` where the listener names none. */
  readonly hostname: string;
  /** Whose listener it is: the Gateway's, or that of one of its ListenerSets. */
  readonly owner: ParentKey;
  /** Of the owner. */
  readonly namespace: string;
  /** Port that Envoy binds. */
  readonly containerPort: number;
  /** Kinds of routes that may attach. */
  readonly supportedKinds: readonly { readonly group: string; readonly kind: AnyRouteKind }[];
  /** Where TLS ends here. */
  readonly tls?: ListenerTls;
  /** Not served, by the listener's own fault. */
  readonly refusal?: Problem;
  /** Not served, because of another listener of the Gateway. */
  readonly conflict?: Problem;
  /** Route kinds that it asks for and that can't be had. */
  readonly kindProblem?: Problem;
  /** Another listener of its port has hostnames of its own inside of this one's, or the other way round. */
  readonly overlap?: Problem;
}

type SupportedKind = JudgedListener["supportedKinds"][number];

const httpRoutes: SupportedKind = { group: gatewayGroup, kind: "HTTPRoute" };
const grpcRoutes: SupportedKind = { group: gatewayGroup, kind: "GRPCRoute" };
const tlsRoutes: SupportedKind = { group: gatewayGroup, kind: "TLSRoute" };

/** Whether a listener is taken up: it may still lack a certificate. */
export function isAccepted({ refusal, conflict }: JudgedListener): boolean {
  return refusal === undefined && conflict === undefined;
}

/** Whether a listener carries traffic. */
export function isServed(judged: JudgedListener): boolean {
  return isAccepted(judged) && (judged.tls === undefined || judged.tls.certificates.length > 0);
}

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
  for (const owner of owners) {
    const own = owner.listeners.map((listener) => judgeListener(listener, owner, { ...served, tls }));
    // What came before has the place.
    const before = judged.filter(isAccepted);
    const around = { before, all: [...before, ...own] };
    judged.push(...own.map((one) => withConflict(one, around)));
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
  const known = pooled === undefined ? kindsByWay(way) : [httpRoutes];
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

/** A listener with its conflict: with the others of its owner, or with those that came before. */
function withConflict(
  one: JudgedListener,
  { before, all }: { readonly before: readonly JudgedListener[]; readonly all: readonly JudgedListener[] },
): JudgedListener {
  const other = before.find(
    ({ listener }) =>
      listener.port === one.listener.port && transportOf(listener) !== transportOf(one.listener),
  );
  if (other !== undefined) {
    const message = `Port ${one.listener.port} of the Gateway already speaks ${other.listener.protocol}: choose another port.`;
    const { refusal: _refusal, ...rest } = one;
    return { ...rest, conflict: { reason: reasons.ProtocolConflict, message } };
  }
  const conflict = conflictOf(one, all);
  return conflict === undefined ? one : { ...one, conflict };
}

/** Listeners of one port have to be told apart by the same means. */
const transportOf = ({ protocol }: GatewayListener): string =>
  protocol === "HTTPS" || protocol === "TLS" ? "TLS" : protocol;

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
    case "TLS":
      return (tls?.mode ?? "Terminate") === "Passthrough" ? "Passthrough" : "Terminate";
    default:
      return undefined;
  }
}

function kindsByWay(way: ListenerWay | undefined): readonly SupportedKind[] {
  if (way === undefined) return [];
  return way === "Http" || way === "Https" ? [httpRoutes, grpcRoutes] : [tlsRoutes];
}

function refusalOf(
  listener: GatewayListener,
  { way, port }: { way: ListenerWay | undefined; port: number | undefined },
): Problem | undefined {
  if (way === undefined) {
    const message = `Listeners with protocol ${listener.protocol} are not supported in this version: use HTTP, HTTPS or TLS.`;
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

/** Two listeners that no connection can tell apart: of one owner neither is served, so that nobody's order decides. */
function conflictOf(one: JudgedListener, all: readonly JudgedListener[]): Problem | undefined {
  if (one.refusal !== undefined) return undefined;
  const { name, port, protocol } = one.listener;
  const others = all.filter(
    (other) => other !== one && other.refusal === undefined && other.containerPort === one.containerPort,
  );
  const samePort = others.filter(({ listener }) => listener.port === port);
  const plain = samePort.find((other) => (other.way === "Http") !== (one.way === "Http"));
  if (plain !== undefined) {
    const message = `Listeners ${name} and ${plain.listener.name} have the same port, and protocols ${protocol} and ${plain.listener.protocol} can't be told apart there. Change one of them.`;
    return { reason: reasons.ProtocolConflict, message };
  }
  const twin = samePort.find(({ hostname }) => hostname === one.hostname);
  if (twin !== undefined) {
    const message = `Listeners ${name} and ${twin.listener.name} have the same port and hostname. Change one of them.`;
    const isSame = twin.listener.protocol === protocol;
    return { reason: isSame ? reasons.HostnameConflict : reasons.ProtocolConflict, message };
  }
  const mapped = others.find(({ listener }) => listener.port !== port);
  if (mapped === undefined) return undefined;
  const message = `Ports ${port} and ${mapped.listener.port} would both be port ${one.containerPort} of the gateway's Pod. Choose another port for one of them.`;
  return { reason: reasons.PortUnavailable, message };
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
