/**
 * The Service of the shared ingress pool, by the mode in which peers reach it: which ports it opens, and why some
 * policy's port can't be opened.
 *
 * Never opens a port other than the policy's own: the SD-WAN chooses the tunnel by destination port, so that traffic to
 * another port would travel unclassified.
 */
import { reasons } from "../api/conditions.ts";
import type { DrainingPort } from "../model/desired.ts";
import { ingressPool, systemNamespace } from "../model/names.ts";
import { compare } from "../model/order.ts";
import type { Problem } from "../model/problem.ts";
import type { World } from "../model/world.ts";
import { readyPort } from "../model/container-ports.ts";
import type { Fleet } from "./fleets.ts";
import { isOurs } from "./owners.ts";
import type { PolicySet } from "./wan-policies.ts";

const serviceKey = `${systemNamespace}/${ingressPool}`;

/** Where API servers allocate node ports unless told otherwise. */
const nodePortRange = { first: 30_000, last: 32_767 } as const;

/** What the Service is to be. */
export interface IngressService {
  readonly service: Pick<Fleet, "serviceType" | "externalTrafficPolicy" | "ports">;
  /** Why the gateways can't be reached at a policy's port, in the order of policies. */
  readonly closed: readonly Problem[];
}

/** The Service that the mode needs. One without a port to open to the outside stays a ClusterIP. */
export function ingressService(
  world: World,
  policies: PolicySet,
  draining: readonly DrainingPort[],
): IngressService {
  const { mode } = world.settings.ingress;
  const ready = { name: "ready", port: readyPort };
  const ports = policyPorts(policies);
  if (mode === "PodIP" || mode === "Static")
    return { service: { serviceType: "ClusterIP", ports: [...ports, ready] }, closed: [] };
  const holders = mode === "NodePort" ? nodePortHolders(world) : new Map<number, string>();
  const refusal = (name: string, port: number): Problem | undefined =>
    mode === "NodePort" ? nodePortProblem(name, port, holders) : undefined;
  const open = [...ports, ...leavingPorts(draining)].filter(
    ({ name, port }) => refusal(name, port) === undefined,
  );
  const closed = [...policies.accepted].flatMap(
    ([name, { spec }]) => refusal(name, spec.port) ?? pending(name, spec.port, world) ?? [],
  );
  // The port for readiness is not for the outside.
  if (open.length === 0) return { service: { serviceType: "ClusterIP", ports: [ready] }, closed };
  if (mode === "LoadBalancer") return { service: { serviceType: mode, ports: open }, closed };
  const nodePorts = open.map(({ name, port }) => ({ name, port, nodePort: port }));
  return { service: { serviceType: mode, externalTrafficPolicy: "Local", ports: nodePorts }, closed };
}

function pending(policy: string, port: number, world: World): Problem | undefined {
  if (isOpen(world, port)) return undefined;
  const { mode } = world.settings.ingress;
  const remedy =
    mode === "NodePort"
      ? " If that lasts, see whether the API server's --service-node-port-range holds it."
      : "";
  return {
    reason: reasons.Pending,
    message: `The Service ${serviceKey} has not opened port ${port} of WANPolicy "${policy}" yet: the gateways are not advertised for it.${remedy}`,
  };
}

/** Whether a port of the pool is open to the outside as things stand: what the Service that was observed says. */
export function isOpen(world: World, port: number): boolean {
  const { mode } = world.settings.ingress;
  if (mode === "PodIP" || mode === "Static") return true;
  const service = world.home.Service.get(serviceKey);
  if (service === undefined || !isOurs(service) || service.spec?.type !== mode) return false;
  return (service.spec.ports ?? []).some(
    (open) => open.port === port && (mode === "LoadBalancer" || open.nodePort === port),
  );
}

function policyPorts(policies: PolicySet): { readonly name: string; readonly port: number }[] {
  return [...policies.accepted.values()].map(({ metadata, spec }) => ({
    // A policy may be called as the readiness port is.
    name: metadata.name === "ready" ? "policy-ready" : metadata.name,
    port: spec.port,
  }));
}

/** Ports that policies had before: open until peers send to others. */
function leavingPorts(draining: readonly DrainingPort[]): { readonly name: string; readonly port: number }[] {
  // Longer than any policy's name.
  return [...new Set(draining.map(({ port }) => port))]
    .sort((a, b) => a - b)
    .map((port) => ({ name: `port-${port}-until-all-peers-know-its-successor`, port }));
}

/** Node ports that other Services have, with the first Service by name. */
function nodePortHolders(world: World): ReadonlyMap<number, string> {
  const holders = new Map<number, string>();
  for (const [key, { spec }] of world.home.Service) {
    if (key === serviceKey) continue;
    for (const port of [spec?.healthCheckNodePort, ...(spec?.ports ?? []).map(({ nodePort }) => nodePort)]) {
      if (port === undefined) continue;
      const known = holders.get(port);
      if (known === undefined || compare(key, known) < 0) holders.set(port, key);
    }
  }
  return holders;
}

function nodePortProblem(
  policy: string,
  port: number,
  holders: ReadonlyMap<number, string>,
): Problem | undefined {
  if (port < nodePortRange.first || port > nodePortRange.last) {
    return {
      reason: reasons.NotANodePort,
      message: `WANPolicy "${policy}" has port ${port}, which can't be a node port (${nodePortRange.first}-${nodePortRange.last}), and through another port its traffic would be unclassified: the gateways are not advertised for it. Give the policy a port in that range, or the controller another --ingress-mode.`,
    };
  }
  const holder = holders.get(port);
  return holder === undefined
    ? undefined
    : {
        reason: reasons.PortUnavailable,
        message: `Port ${port} of WANPolicy "${policy}" is a node port of the Service ${holder}: the gateways are not advertised for it. Free it there, or give the policy another port.`,
      };
}
