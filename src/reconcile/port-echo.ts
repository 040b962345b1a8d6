/**
 * What we tell peers of the ports that we send to: the receiver of a WANPolicy whose port has changed keeps the old one open
 * until it reads here that nothing of ours uses it any more (draining-ports.ts).
 *
 *     ports that a peer advertises ∪ ports that our Envoys have not left yet ∪ ports that stand in slices
 */
import type { GatewayAdvertisement } from "../api/gateway-advertisement.ts";
import { ingressPool, labels, systemNamespace } from "../model/names.ts";
import { compare } from "../model/order.ts";
import { isHeard, type Peer, type SendsTo, type World } from "../model/world.ts";
import { isOurs } from "./owners.ts";

const poolKey = `${systemNamespace}/${ingressPool}`;

/** By policy. */
type Ports = Readonly<Record<string, readonly number[]>>;

/** The ports that peers advertise now, of their shared pools. */
export function heardPorts(peers: readonly Peer[]): SendsTo {
  return Object.fromEntries(
    peers.filter(isHeard).map((peer) => [peer.id, portsOf(advertised(poolOf(peer)))]),
  );
}

/** Ports to which something here may still send, by peer; undefined of one about which nothing is known. */
export function echoedPorts(world: World, heard: SendsTo): (peer: Peer) => Ports | undefined {
  const standing = world.home.GatewayAdvertisement.get(poolKey)?.status?.peers ?? [];
  const senders = sendersOf(world);
  return (peer) => {
    const said = standing.find(({ cluster }) => cluster === peer.id)?.sendsTo;
    const now = heard[peer.id];
    if (now === undefined) return said;
    const pool = poolOf(peer);
    const draining = pool?.spec.draining ?? [];
    if (draining.length === 0) return now;
    const used = senders.map((sending) => (sending === "Unknown" ? said : sending[peer.id]));
    const isUsed = ({ policy, port }: { readonly policy: string; readonly port: number }): boolean =>
      used.some(
        (ports) => ports !== undefined && Object.hasOwn(ports, policy) && ports[policy]?.includes(port),
      ) || standsInSlices(world, port, pool);
    return portsOf([...advertised(pool), ...draining.filter(isUsed)]);
  };
}

/** What each gateway Pod may send to; a ready one of which nothing is known may do what was said of all before. */
function sendersOf({ home, sending }: World): readonly (SendsTo | "Unknown")[] {
  return [...home.Pod.values()].flatMap(({ metadata, status }): (SendsTo | "Unknown")[] => {
    if (metadata.labels?.[labels.fleet] === undefined) return [];
    const known = sending.get(metadata.name);
    if (known !== undefined) return [known];
    const isReady = status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True");
    return isReady === true ? ["Unknown"] : [];
  });
}

/** Whether clients that pass no Envoy of ours are led to a port of a peer's gateways. */
function standsInSlices({ home }: World, port: number, pool: GatewayAdvertisement | undefined): boolean {
  const addresses = new Set(pool?.spec.endpoints.map(({ address }) => address));
  for (const slice of home.EndpointSlice.values()) {
    if (!slice.ports?.some((open) => open.port === port) || !isOurs(slice)) continue;
    if (slice.endpoints?.some((endpoint) => endpoint.addresses.some((address) => addresses.has(address))))
      return true;
  }
  return false;
}

const poolOf = ({ objects }: Peer): GatewayAdvertisement | undefined =>
  objects.GatewayAdvertisement.get(poolKey);

const advertised = (
  pool: GatewayAdvertisement | undefined,
): readonly { readonly policy: string; readonly port: number }[] =>
  (pool?.spec.endpoints ?? []).flatMap(({ ports }) =>
    Object.entries(ports).map(([policy, port]) => ({ policy, port })),
  );

function portsOf(all: readonly { readonly policy: string; readonly port: number }[]): Ports {
  const byPolicy = Map.groupBy(all, ({ policy }) => policy);
  return Object.fromEntries(
    [...byPolicy]
      .sort(([a], [b]) => compare(a, b))
      .map(([policy, ports]) => [policy, [...new Set(ports.map(({ port }) => port))].sort((a, b) => a - b)]),
  );
}
