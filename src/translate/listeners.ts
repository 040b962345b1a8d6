/**
 * Listeners of Gateways: which of them can be served, why the others can't, and the Envoy listeners that carry them.
 *
 * Source: Gateway API, Listener; Envoy, config.listener.v3.
 */
import { create } from "@bufbuild/protobuf";
import { reasons } from "../api/conditions.ts";
import { ListenerSchema } from "../envoy/envoy/config/listener/v3/listener_pb.ts";
import type { Listener } from "../envoy/envoy/config/listener/v3/listener_pb.ts";
import { HttpConnectionManagerSchema } from "../envoy/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
import { containerPort, reservedContainerPorts } from "../model/container-ports.ts";
import type { ServedGateway } from "../model/desired.ts";
import type { RouteKind } from "../model/kinds.ts";
import type { Problem } from "../model/problem.ts";
import { pack } from "./any.ts";
import { gatewayGroup } from "./gateway-api.ts";
import type { GatewayListener } from "./gateway-api.ts";
import { anyHost, normalizeHost } from "./hosts.ts";
import { httpConnectionManager } from "./http-connection-manager.ts";
import type { EdgeRole } from "./http-connection-manager.ts";

/** A listener of a Gateway with what was found out about it. */
export interface JudgedListener {
  readonly listener: GatewayListener;
  /** In lower case; `*` where the listener names none. */
  readonly hostname: string;
  /** Port that Envoy binds. */
  readonly containerPort: number;
  /** Kinds of routes that may attach. */
  readonly supportedKinds: readonly { readonly group: string; readonly kind: RouteKind }[];
  /** Not served, by the listener's own fault. */
  readonly refusal?: Problem;
  /** Not served, because of another listener of the Gateway. */
  readonly conflict?: Problem;
  /** Route kinds that it asks for and that can't be had. */
  readonly kindProblem?: Problem;
}

type SupportedKind = JudgedListener["supportedKinds"][number];

const httpRoutes: SupportedKind = { group: gatewayGroup, kind: "HTTPRoute" };
const grpcRoutes: SupportedKind = { group: gatewayGroup, kind: "GRPCRoute" };

/** Whether a listener carries traffic. */
export function isServed({ refusal, conflict }: JudgedListener): boolean {
  return refusal === undefined && conflict === undefined;
}

/** Judges the listeners of one Gateway, in their order. */
export function judgeListeners({
  gateway,
  pooled,
  refusal: whole,
}: Pick<ServedGateway, "gateway" | "pooled" | "refusal">): readonly JudgedListener[] {
  const { listeners } = gateway.spec;
  const judged = listeners.map((listener): JudgedListener => {
    const port = pooled === undefined ? containerPort(listener.port) : pooled.containerPorts[listener.name];
    // At a generated Gateway requests go by the rules of its service's import alone.
    const known = pooled === undefined ? [httpRoutes, grpcRoutes] : [httpRoutes];
    const { supportedKinds, unsupported } = kindsOf(listener, known);
    const refusal = whole === undefined ? refusalOf(listener, port) : notAccepted;
    return {
      listener,
      hostname: normalizeHost(listener.hostname ?? anyHost),
      containerPort: port ?? 0,
      supportedKinds: listener.protocol === "HTTP" ? supportedKinds : [],
      ...(refusal === undefined ? {} : { refusal }),
      ...(unsupported.length === 0 ? {} : { kindProblem: kindProblem(listener.name, unsupported) }),
    };
  });
  return judged.map((one) => {
    const conflict = conflictOf(one, judged);
    return conflict === undefined ? one : { ...one, conflict };
  });
}

const notAccepted: Problem = {
  reason: reasons.Invalid,
  message: "The Gateway is not accepted: see its conditions.",
};

function refusalOf(listener: GatewayListener, port: number | undefined): Problem | undefined {
  if (listener.protocol !== "HTTP") {
    const message = `Listeners with protocol ${listener.protocol} are not supported in this version: use HTTP.`;
    return { reason: reasons.UnsupportedProtocol, message };
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

/** Two listeners that no request can tell apart: neither is served, so that nobody's order decides. */
function conflictOf(one: JudgedListener, all: readonly JudgedListener[]): Problem | undefined {
  if (one.refusal !== undefined) return undefined;
  const others = all.filter(
    (other) => other !== one && other.refusal === undefined && other.containerPort === one.containerPort,
  );
  const twin = others.find(
    ({ hostname, listener }) => listener.port === one.listener.port && hostname === one.hostname,
  );
  if (twin !== undefined) {
    const message = `Listeners ${one.listener.name} and ${twin.listener.name} have the same port and hostname. Change one of them.`;
    return { reason: reasons.HostnameConflict, message };
  }
  const mapped = others.find(({ listener }) => listener.port !== one.listener.port);
  if (mapped === undefined) return undefined;
  const message = `Ports ${one.listener.port} and ${mapped.listener.port} would both be port ${one.containerPort} of the gateway's Pod. Choose another port for one of them.`;
  return { reason: reasons.PortUnavailable, message };
}

/** An Envoy listener: a port, and the route table that decides what happens there. */
export interface EnvoyPort {
  readonly name: string;
  readonly port: number;
  readonly routeTable: string;
  readonly role: EdgeRole;
}

/** Bytes that Envoy holds for a connection before it stops reading. */
const bufferLimit = { Client: 65_536, Wan: 1_048_576 } as const;

/** Everything variable is in the route table: a listener that changes would drain its connections. */
export function envoyListener(at: EnvoyPort): Listener {
  const socketAddress = { address: "0.0.0.0", portSpecifier: { case: "portValue" as const, value: at.port } };
  const typedConfig = pack(HttpConnectionManagerSchema, httpConnectionManager(at));
  const filter = {
    name: "envoy.filters.network.http_connection_manager",
    configType: { case: "typedConfig" as const, value: typedConfig },
  };
  return create(ListenerSchema, {
    name: at.name,
    address: { address: { case: "socketAddress", value: socketAddress } },
    perConnectionBufferLimitBytes: bufferLimit[at.role],
    filterChains: [{ filters: [filter] }],
  });
}
