/**
 * WAN backends: where requests to a service over a policy go. Only to clusters that export the service, have ready
 * backends, and whose gateways listen for the policy; requests for a port only to those that export the port (KEP-1645).
 */
import type { AdvertisedPort } from "../api/service-advertisement.ts";
import type { ServiceRef, WanBackend, WanLocality } from "../model/desired.ts";
import { compare } from "../model/order.ts";
import type { DummyNames } from "./dummy-services.ts";
import { home, type GatewayDirectory } from "./gateway-directory.ts";
import { readyCount, type Member, type Merged } from "./imports.ts";
import type { Placement } from "./placement.ts";
import { carriageOf } from "./protocols.ts";
import { isPlain } from "./shadow-services.ts";
import type { PolicySet } from "./wan-policies.ts";

/** What the WAN backends of one service are made of. */
export interface WanBackendsInput {
  readonly merged: Merged;
  readonly names: DummyNames;
  readonly placement: Placement;
  readonly policies: PolicySet;
  /** See {@link WanBackend}. */
  readonly concurrentRequests: number | undefined;
}

/** The WAN backends of one service by the names of its dummies. */
export function wanBackends(
  service: ServiceRef,
  { merged, names, placement, policies, concurrentRequests }: WanBackendsInput,
  directory: GatewayDirectory,
): [string, WanBackend][] {
  const exportedHere = merged.members.some(({ cluster }) => cluster === home);
  const { hasHomePods, hasAffinity, spillOverBelow } = placement;
  const byGateway = merged.members.filter(
    ({ cluster }) => placement.tierOf(cluster) !== undefined && !(cluster === home && hasHomePods),
  );
  // Whether ready or not: endpoints come and go without touching a route.
  const differs = byGateway.some((member) => portsTaken(member, merged).ports !== undefined);
  const exporters = byGateway
    .map(({ cluster }) => (cluster === home ? placement.homeName : cluster))
    .sort(compare);
  return [...names].map(([policy, name]) => [
    name,
    {
      service,
      policy,
      remote: localities(byGateway, policy, { merged, placement, directory }),
      ...tcpPorts(merged.ports),
      ...(differs ? { differsByPort: true } : {}),
      ...(isPlain(policy, policies) ? {} : { exporters }),
      ...(exportedHere && hasHomePods ? { home: service } : {}),
      ...(spillOverBelow === undefined ? {} : { spillOverBelow }),
      ...(concurrentRequests === undefined ? {} : { concurrentRequests }),
      ...(hasAffinity ? { hasAffinity } : {}),
    },
  ]);
}

function localities(
  members: readonly Member[],
  policy: string,
  {
    merged,
    placement,
    directory,
  }: { readonly merged: Merged; readonly placement: Placement; readonly directory: GatewayDirectory },
): WanLocality[] {
  if (merged.type === "Headless") return [];
  // Home's Pods are a tier of their own, before these.
  const first = placement.hasHomePods ? 1 : 0;
  return members
    .flatMap((member) => {
      const cluster = member.cluster === home ? placement.homeName : member.cluster;
      const weight = readyCount(member);
      const endpoints = directory.find(member.cluster, member.spec.pool, policy);
      const ports = { ...portsTaken(member, merged), ...tcpPortsTaken(member, merged) };
      const tier = (placement.tierOf(member.cluster) ?? first) - first;
      const place = tier === 0 ? {} : { tier };
      return weight > 0 && endpoints.length > 0 ? [{ cluster, ...place, weight, ...ports, endpoints }] : [];
    })
    .sort((a, b) => compare(a.cluster, b.cluster));
}

/**
 * Which ports of the import a cluster takes requests for, if not all: those of a number that it exports, whatever their names
 * (KEP-1645: a port that clashes leads only to clusters that expose it).
 */
function portsTaken({ spec }: Member, { ports }: Merged): Pick<WanLocality, "ports"> {
  const own = new Set(spec.ports.filter(isHttp).map(({ port }) => port));
  const wanted = ports.filter(isHttp);
  const taken = wanted.filter(({ port }) => own.has(port)).map(({ port }) => port);
  return taken.length === wanted.length ? {} : { ports: taken };
}

/** TCP ports, in the order of their numbers, if there are any. */
function tcpPorts(ports: readonly AdvertisedPort[]): Pick<WanBackend, "tcpPorts"> {
  const found = ports.filter((port) => carriageOf(port) === "TCP").map(({ port }) => port);
  return found.length === 0 ? {} : { tcpPorts: found };
}

/** TCP ports of the import to which a cluster takes connections: told by number always. */
function tcpPortsTaken({ spec }: Member, { ports }: Merged): Pick<WanLocality, "tcpPorts"> {
  const own = new Set(tcpPorts(spec.ports).tcpPorts);
  return tcpPorts(ports.filter(({ port }) => own.has(port)));
}

const isHttp = (port: AdvertisedPort): boolean => carriageOf(port) === "HTTP";
