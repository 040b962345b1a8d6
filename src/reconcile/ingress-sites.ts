/**
 * Where peers reach the shared ingress pool, by mode, and what they are told of it.
 *
 *     PodIP         each ready Pod
 *     NodePort      each node with a ready Pod
 *     LoadBalancer  the addresses of the load balancer, for all ready Pods
 *     Static        the addresses that the operator gave, for all ready Pods
 *
 * Make before break: a site is named for a port only when its Pods are known to listen there and the port is open. Of a
 * Pod about which nothing is known (the controller has just started) what was said before stays, so that a restart
 * writes nothing.
 */
import { reasons } from "../api/conditions.ts";
import { modeAt, portAt } from "../api/gateway-advertisement.ts";
import type { GatewayEndpoint } from "../api/gateway-advertisement.ts";
import { modeOf } from "../api/wan-policy.ts";
import type { WANPolicyMode } from "../api/wan-policy.ts";
import { isReachable } from "../model/ipv4.ts";
import { ingressPool, systemNamespace } from "../model/names.ts";
import { compare } from "../model/order.ts";
import type { Problem } from "../model/problem.ts";
import type { World } from "../model/world.ts";
import type { GatewayPod } from "./gateway-pods.ts";
import { isOpen } from "./ingress-service.ts";
import { isOurs } from "./owners.ts";
import type { PolicySet } from "./wan-policies.ts";

/** An address and the ready Pods that it leads to. */
interface Site {
  readonly address: string;
  readonly zone?: string;
  readonly pods: readonly GatewayPod[];
}

/** What peers are told. */
export interface Advertised {
  /** Sorted by address. */
  readonly endpoints: readonly GatewayEndpoint[];
  /** Why the mode gives no address. */
  readonly unaddressed: readonly Problem[];
}

/** Where peers reach the ingress pool, whose ready Pods are given. */
export function advertise(pods: readonly GatewayPod[], policies: PolicySet, world: World): Advertised {
  const { sites, problem } = sitesOf(pods, world);
  const known = world.home.GatewayAdvertisement.get(`${systemNamespace}/${ingressPool}`);
  const before = new Map(known?.spec.endpoints.map((endpoint) => [endpoint.address, endpoint]));
  const endpoints: GatewayEndpoint[] = [];
  for (const { address, zone, pods: behind } of sites) {
    const said = before.get(address);
    const ports: [string, number][] = [];
    const modes: [string, WANPolicyMode][] = [];
    for (const [name, policy] of policies.accepted) {
      const { port } = policy.spec;
      const mode = modeOf(policy);
      // A port of another mode is closed at once.
      const old = said !== undefined && modeAt(said, name) === mode ? portAt(said, name) : undefined;
      if (isOpen(world, port) && isHeard(behind, port, world)) ports.push([name, port]);
      else if (old !== undefined && isOpen(world, old) && mayListen(behind, old, world))
        ports.push([name, old]);
      else continue;
      modes.push([name, mode]);
    }
    if (ports.length === 0) continue;
    endpoints.push({
      address,
      ...(zone === undefined ? {} : { zone }),
      ports: Object.fromEntries(ports),
      modes: Object.fromEntries(modes),
    });
  }
  return {
    endpoints: endpoints.sort((a, b) => compare(a.address, b.address)),
    unaddressed: problem === undefined ? [] : [problem],
  };
}

/** Whether some Pod is known to listen at a port, and none is known not to. */
function isHeard(pods: readonly GatewayPod[], port: number, { listening }: World): boolean {
  const known = pods.flatMap(({ name }) => listening.get(name) ?? []);
  return known.length > 0 && known.every((ports) => ports.has(port));
}

/** Whether some Pod listens at a port that was advertised, as far as is known. */
function mayListen(pods: readonly GatewayPod[], port: number, { listening }: World): boolean {
  return pods.some(({ name }) => listening.get(name)?.has(port) ?? true);
}

function sitesOf(
  pods: readonly GatewayPod[],
  world: World,
): { readonly sites: readonly Site[]; readonly problem?: Problem } {
  const { mode, addresses } = world.settings.ingress;
  const forAll = (all: readonly string[]): readonly Site[] => all.map((address) => ({ address, pods }));
  switch (mode) {
    case "PodIP":
      return { sites: pods.map((pod) => siteOf(pod.address, [pod])) };
    case "NodePort":
      return nodeSites(pods);
    case "LoadBalancer": {
      const { found, problem } = loadBalancerAddresses(world);
      return { sites: forAll(found), ...(problem && { problem }) };
    }
    case "Static":
      return { sites: forAll(addresses) };
  }
}

function siteOf(address: string, pods: readonly GatewayPod[]): Site {
  const zone = pods[0]?.zone;
  return { address, pods, ...(zone === undefined ? {} : { zone }) };
}

/** Pods by node: kube-proxy gives what arrives at a node to the Pods there (externalTrafficPolicy Local). */
function nodeSites(pods: readonly GatewayPod[]): ReturnType<typeof sitesOf> {
  const byNode = Map.groupBy(pods, ({ node }) => node);
  const sites = [...byNode].flatMap(([node, behind]) =>
    node !== undefined && isReachable(node) ? [siteOf(node, behind)] : [],
  );
  if (sites.length > 0 || pods.length === 0) return { sites };
  return {
    sites,
    problem: {
      reason: reasons.UnusableAddress,
      message:
        "No node of an ingress gateway has an IPv4 address that another cluster can reach: nothing is advertised. Give the nodes IPv4 addresses, or the controller another --ingress-mode.",
    },
  };
}

function loadBalancerAddresses(world: World): {
  readonly found: readonly string[];
  readonly problem?: Problem;
} {
  const service = world.home.Service.get(`${systemNamespace}/${ingressPool}`);
  const given = service !== undefined && isOurs(service) ? (service.status?.loadBalancer?.ingress ?? []) : [];
  const found = [...new Set(given.flatMap(({ ip }) => (ip !== undefined && isReachable(ip) ? [ip] : [])))];
  if (found.length > 0) return { found };
  const what = `The Service ${systemNamespace}/${ingressPool}`;
  return {
    found,
    problem:
      given.length === 0
        ? {
            reason: reasons.AddressNotAssigned,
            message: `${what} has no load balancer's address yet: nothing is advertised. Install what serves Services of type LoadBalancer, or choose another --ingress-mode.`,
          }
        : {
            reason: reasons.UnsupportedAddress,
            message: `The load balancer of ${what.replace("The", "the")} has no IPv4 address that another cluster can reach (host names can't be used): nothing is advertised. Give it one, or choose --ingress-mode Static.`,
          },
  };
}
