/**
 * Listeners of Gateways: which of them can be served, and why the others can't.
 *
 * Source: Gateway API, Listener.
 */
import { reasons } from "../api/conditions.ts";
import { containerPort, reservedContainerPorts } from "../model/container-ports.ts";
import type { ServedGateway } from "../model/desired.ts";
import type { AnyRouteKind } from "../model/kinds.ts";
import type { Problem } from "../model/problem.ts";
import { gatewayGroup } from "./gateway-api.ts";
import type { GatewayListener } from "./gateway-api.ts";
import type { GatewayTls, ListenerTls } from "./gateway-tls.ts";
import { anyHost, intersections, normalizeHost } from "./hosts.ts";

/** What becomes of connections: HTTP in plain text or in TLS, a stream out of TLS, or TLS as it comes. */
type ListenerWay = "Http" | "Https" | "Terminate" | "Passthrough";

/** A listener of a Gateway with what was found out about it. */
export interface JudgedListener {
  readonly listener: GatewayListener;
  /** Undefined: of a protocol that is not carried. */
  readonly way: ListenerWay | undefined;
  /** In lower case; `*` where the listener names none. */
  readonly hostname: string;
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

/** Judges the listeners of one Gateway, in their order. */
export function judgeListeners(
  { gateway, pooled, refusal: whole }: Pick<ServedGateway, "gateway" | "pooled" | "refusal">,
  tls: GatewayTls,
): readonly JudgedListener[] {
  const { listeners } = gateway.spec;
  const judged = listeners.map((listener): JudgedListener => {
    const port = pooled === undefined ? containerPort(listener.port) : pooled.containerPorts[listener.name];
    const way = wayOf(listener);
    // At a generated Gateway requests go by the rules of its service's import alone.
    const known = pooled === undefined ? kindsByWay(way) : [httpRoutes];
    const { supportedKinds, unsupported } = kindsOf(listener, known);
    const ownTls = tls.listeners.get(listener.name);
    const refusal =
      whole === undefined ? (refusalOf(listener, { way, port }) ?? ownTls?.refusal) : notAccepted;
    return {
      listener,
      way,
      hostname: normalizeHost(listener.hostname ?? anyHost),
      containerPort: port ?? 0,
      supportedKinds: way === undefined ? [] : supportedKinds,
      ...(ownTls === undefined ? {} : { tls: ownTls }),
      ...(refusal === undefined ? {} : { refusal }),
      ...(unsupported.length === 0 ? {} : { kindProblem: kindProblem(listener.name, unsupported) }),
    };
  });
  return judged.map((one) => {
    const conflict = conflictOf(one, judged);
    const overlap = overlapOf(one, judged);
    return { ...one, ...(conflict && { conflict }), ...(overlap && { overlap }) };
  });
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

/** Two listeners that no connection can tell apart: neither is served, so that nobody's order decides. */
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

/** Clients may reuse a connection for every name in its certificate: where hostnames overlap, requests come to the wrong listener. */
function overlapOf(one: JudgedListener, all: readonly JudgedListener[]): Problem | undefined {
  if (one.way !== "Https") return undefined;
  const other = all.find(
    ({ listener, way, hostname }) =>
      listener !== one.listener &&
      way === "Https" &&
      listener.port === one.listener.port &&
      hostname !== one.hostname &&
      intersections([hostname], [one.hostname]).length > 0,
  );
  if (other === undefined) return undefined;
  const message = `Hostnames of listeners ${one.listener.name} and ${other.listener.name} overlap: a request that comes over a connection of the other one is answered with 421.`;
  return { reason: reasons.OverlappingHostnames, message };
}
