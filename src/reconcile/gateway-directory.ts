/**
 * Where the ingress gateways of every cluster of the set are, as they advertise it. Addresses that can't be right are
 * refused one by one: a peer that lies or errs harms itself only.
 */
import { modeAt, portAt } from "../api/gateway-advertisement.ts";
import type { GatewayEndpoint } from "../api/gateway-advertisement.ts";
import { reasons } from "../api/conditions.ts";
import { isPolicyPort, modeOf } from "../api/wan-policy.ts";
import { isReachable } from "../model/ipv4.ts";
import { systemNamespace } from "../model/names.ts";
import { compare } from "../model/order.ts";
import type { Problem } from "../model/problem.ts";
import { isHeard } from "../model/world.ts";
import type { ClusterId, Peer } from "../model/world.ts";
import type { PolicySet } from "./wan-policies.ts";

/** One gateway, for one policy. */
interface GatewayAddress {
  readonly address: string;
  readonly port: number;
  readonly zone?: string;
}

/** All gateways. */
export interface GatewayDirectory {
  /**
   * Gateways of a cluster's pool that listen for a policy, in its mode, and can be told from all others where it is
   * MutualTLS; sorted by address.
   */
  readonly find: (cluster: ClusterId | Home, pool: string, policy: string) => readonly GatewayAddress[];
  /** Gateways of all peers, at every port that they listen to for some policy. */
  readonly ofPeers: readonly { readonly address: string; readonly port: number }[];
  /** Why nothing is sent to gateways of a pool that listen for a policy, if so. */
  readonly closed: (cluster: ClusterId | Home, pool: string, policy: string) => Problem | undefined;
  /** What is wrong with the addresses that peers advertise, in the order of clusters. */
  readonly problems: readonly Problem[];
}

/** The home cluster, whose id may not be known yet. */
export const home: unique symbol = Symbol("home");
export type Home = typeof home;

/** More gateways of one pool than this are not looked at. */
const maxEndpoints = 100;

/** What a directory is made of. */
export interface DirectoryInput {
  readonly homePools: ReadonlyMap<string, readonly GatewayEndpoint[]>;
  readonly homeId: ClusterId | undefined;
  readonly peers: readonly Peer[];
  /** What an address of ours is, for a person. */
  readonly ownAddresses: ReadonlyMap<string, string>;
  readonly policies: PolicySet;
  /** Clusters whose authorities are known, home among them. */
  readonly trusted: ReadonlySet<ClusterId>;
}

/** The directory, out of home's own pools and what peers advertise. */
export function gatewayDirectory({
  homePools,
  homeId,
  peers,
  ownAddresses,
  policies,
  trusted,
}: DirectoryInput): GatewayDirectory {
  const modes = new Map([...policies.accepted].map(([name, policy]) => [name, modeOf(policy)]));
  const isTrusted = (cluster: ClusterId | Home): boolean =>
    homeId !== undefined && trusted.has(homeId) && trusted.has(cluster === home ? homeId : cluster);
  const pools = new Map<ClusterId | Home, ReadonlyMap<string, readonly GatewayEndpoint[]>>([
    [home, homePools],
  ]);
  const problems: Problem[] = [];
  for (const peer of peers) {
    if (!isHeard(peer)) continue;
    const ofPeer = new Map<string, readonly GatewayEndpoint[]>();
    for (const { metadata, spec } of peer.objects.GatewayAdvertisement.values()) {
      if (metadata.namespace !== systemNamespace) continue;
      const usable: GatewayEndpoint[] = [];
      for (const endpoint of spec.endpoints.slice(0, maxEndpoints)) {
        const problem = addressProblem(endpoint.address, peer.id, ownAddresses);
        if (problem === undefined) usable.push(withPolicyPorts(endpoint, peer.id, problems));
        else problems.push(problem);
      }
      if (spec.endpoints.length > maxEndpoints) problems.push(tooMany(peer.id, metadata.name));
      ofPeer.set(
        metadata.name,
        usable.sort((a, b) => compare(a.address, b.address)),
      );
    }
    pools.set(peer.id, ofPeer);
  }
  const ofPeers = [...pools].flatMap(([cluster, ofCluster]) =>
    cluster === home
      ? []
      : [...ofCluster.values()]
          .flat()
          .flatMap(({ address, ports }) => Object.values(ports).map((port) => ({ address, port }))),
  );
  const listening = (cluster: ClusterId | Home, pool: string, policy: string): readonly GatewayEndpoint[] =>
    (pools.get(cluster)?.get(pool) ?? []).filter((endpoint) => portAt(endpoint, policy) !== undefined);
  return {
    problems,
    ofPeers,
    find: (cluster, pool, policy) => {
      const mode = modes.get(policy) ?? "Plain";
      if (mode === "MutualTLS" && !isTrusted(cluster)) return [];
      return listening(cluster, pool, policy).flatMap((endpoint) => {
        const port = portAt(endpoint, policy);
        const { address, zone } = endpoint;
        if (port === undefined || modeAt(endpoint, policy) !== mode) return [];
        return [{ address, port, ...(zone === undefined ? {} : { zone }) }];
      });
    },
    closed: (cluster, pool, policy) => {
      const mode = modes.get(policy) ?? "Plain";
      const gateways = listening(cluster, pool, policy);
      if (gateways.length === 0) return undefined;
      const name = cluster === home ? (homeId ?? "") : cluster;
      if (!gateways.some((endpoint) => modeAt(endpoint, policy) === mode))
        return otherMode(name, policy, mode);
      if (mode === "Plain" || isTrusted(cluster)) return undefined;
      return homeId !== undefined && trusted.has(homeId) ? noAuthority(name, policy) : noIdentity(policy);
    },
  };
}

/** The gateway without ports at which no gateway listens for a policy: what is there is somebody else. */
function withPolicyPorts(
  endpoint: GatewayEndpoint,
  cluster: ClusterId,
  problems: Problem[],
): GatewayEndpoint {
  const wrong = Object.entries(endpoint.ports).filter(([, port]) => !isPolicyPort(port));
  if (wrong.length === 0) return endpoint;
  for (const [policy, port] of wrong) {
    problems.push({
      reason: reasons.UnusablePort,
      message: `Cluster "${cluster}" advertises port ${port} of ${endpoint.address} for WANPolicy ${JSON.stringify(policy.slice(0, 40))}, at which no gateway listens: policies have ports within 1024-19999 or 30000-65535. Find out who writes that advertisement.`,
    });
  }
  const ports = Object.fromEntries(Object.entries(endpoint.ports).filter(([, port]) => isPolicyPort(port)));
  return { ...endpoint, ports };
}

function tooMany(cluster: ClusterId, pool: string): Problem {
  return {
    reason: reasons.QuotaExceeded,
    message: `Cluster "${cluster}" advertises more than ${maxEndpoints} gateways of pool ${JSON.stringify(pool.slice(0, 63))}: only the first ${maxEndpoints} are used.`,
  };
}

function otherMode(cluster: ClusterId, policy: string, mode: "MutualTLS" | "Plain"): Problem {
  const theirs = mode === "Plain" ? "mutual TLS" : "plain text";
  const message = `Nothing is sent to cluster "${cluster}" over "${policy}": its gateways speak ${theirs} at this policy's port, and this cluster's WANPolicy has mode ${mode}. Give both the same mode, with a port of its own.`;
  return { reason: reasons.ModeDiffers, message };
}

function noAuthority(cluster: ClusterId, policy: string): Problem {
  const message = `Nothing is sent to cluster "${cluster}" over "${policy}": it has not said by which authority its gateways are known, or it can't be trusted. See PeersUsable of GatewayAdvertisement mc-wan-ingress in mc-wan-system.`;
  return { reason: reasons.NoIdentity, message };
}

function noIdentity(policy: string): Problem {
  const message = `Nothing is sent over "${policy}": this cluster's gateways have no identity yet. If that lasts, see Secret mc-wan-ca in mc-wan-system, and the controller's log.`;
  return { reason: reasons.NoIdentity, message };
}

function addressProblem(
  address: string,
  cluster: ClusterId,
  ownAddresses: ReadonlyMap<string, string>,
): Problem | undefined {
  if (!isReachable(address)) {
    return {
      reason: reasons.UnusableAddress,
      message: `Cluster "${cluster}" advertises a gateway at ${JSON.stringify(address.slice(0, 45))}, which is no IPv4 address that another cluster can reach. Run the controller of that cluster with another --ingress-mode.`,
    };
  }
  const own = ownAddresses.get(address);
  if (own !== undefined) {
    return {
      reason: reasons.AddressOverlap,
      message: `Cluster "${cluster}" advertises a gateway at ${address}, which is ${own}. Where ranges overlap, run the controller of that cluster with --ingress-mode NodePort, LoadBalancer or Static.`,
    };
  }
  return undefined;
}
