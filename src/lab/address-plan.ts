/**
 * Who has which address in a lab: a function of the cluster's number alone, so that every part of the lab agrees without asking.
 * Never uses an address outside 198.18.0.0/15, the range reserved for tests between networks (RFC 2544).
 *
 *     198.18.N.0/26    control plane of cluster N: .1 API server and pods' gateway, .2 DNS, .3 node
 *     198.18.N.64/26   the lab's own helpers: .66 is the client of `mcwan lab curl`
 *     198.18.N.128/25  pods
 *     198.19.0.0/20, 198.19.16.0/20, …   Services of cluster 1, 2, …
 *     198.19.240.0/21  tunnels, a /30 each
 *     198.19.248.0/23  links between control planes, a /30 each
 *     198.19.255.0/24  management links, a /30 per cluster
 */

/** The most clusters that the plan has room for: one /20 of Services each below 198.19.240.0. */
export const MAX_CLUSTERS = 15;

/** The most tunnel links between all pairs of clusters: /30s in 198.19.240.0/21. */
const MAX_LINKS = 512;

/** All pods and API servers of all clusters: what the SD-WAN carries. */
export const CLUSTERS_CIDR = "198.18.0.0/16";

/** The management links, whose addresses stand for the lab itself. */
export const MANAGEMENT_CIDR = "198.19.255.0/24";

/** The link addresses of all tunnels. */
export const TUNNELS_CIDR = "198.19.240.0/21";

/** The name of the links that control planes reach each other over; no tunnel may have it. */
export const CONTROL_PLANE = "control-plane";

/** Number of the routing table that leads to peers' control planes. */
export const CONTROL_PLANE_TABLE = 100;

/** The addresses of one cluster. */
export interface ClusterAddresses {
  /** What peers route to this cluster: pods and control plane. */
  readonly cidr: string;
  readonly apiServer: string;
  readonly dns: string;
  readonly node: string;
  /** The client of `mcwan lab curl`. */
  readonly client: string;
  /** The addresses that are the cluster namespace's own. */
  readonly controlPlaneCIDR: string;
  readonly podCIDR: string;
  readonly serviceCIDR: string;
  /** ClusterIP of the `default/kubernetes` Service (the first of the range, by kube-apiserver). */
  readonly kubernetesService: string;
  /** ClusterIP of the `kube-system/kube-dns` Service. */
  readonly dnsService: string;
  /** The cluster's end of its management link. */
  readonly management: string;
  /** The lab's end of the cluster's management link. */
  readonly managementGateway: string;
}

/** The addresses of cluster number `number`, counted from 1. Throws RangeError outside 1..MAX_CLUSTERS. */
export function clusterAddresses(number: number): ClusterAddresses {
  if (!Number.isInteger(number) || number < 1 || number > MAX_CLUSTERS) {
    throw new RangeError(`a cluster's number is 1..${MAX_CLUSTERS}, not ${number}`);
  }
  const home = `198.18.${number}`;
  const services = `198.19.${(number - 1) * 16}`;
  return {
    cidr: `${home}.0/24`,
    apiServer: `${home}.1`,
    dns: `${home}.2`,
    node: `${home}.3`,
    client: `${home}.66`,
    controlPlaneCIDR: `${home}.0/26`,
    podCIDR: `${home}.128/25`,
    serviceCIDR: `${services}.0/20`,
    kubernetesService: `${services}.1`,
    dnsService: `${services}.10`,
    management: `198.19.255.${number * 4 + 2}`,
    managementGateway: `198.19.255.${number * 4 + 1}`,
  };
}

/** One end of a link, seen from the cluster that it is in. */
export interface LinkEnd {
  /** The tunnel's name, or CONTROL_PLANE. */
  readonly link: string;
  /** Id of the cluster at the other end. */
  readonly peer: string;
  /** Interface name in this cluster's namespace, at most 15 characters. */
  readonly interface: string;
  /** The interface of the same end's way through the user-space wire; there only once the wire was needed. */
  readonly wireInterface: string;
  readonly address: string;
  readonly peerAddress: string;
}

/** A link between two clusters: one veth pair. */
export interface Link {
  /** The tunnel's name, or CONTROL_PLANE. */
  readonly name: string;
  readonly ends: readonly [
    { readonly cluster: string; readonly end: LinkEnd },
    { readonly cluster: string; readonly end: LinkEnd },
  ];
}

/**
 * The tunnel links of a lab: one per tunnel for each pair of clusters. `clusters` and `tunnels` are ids in order; the result is in the order of
 * pairs. Throws RangeError for more than MAX_LINKS.
 */
export function tunnelLinks(clusters: readonly string[], tunnels: readonly string[]): Link[] {
  const kinds = tunnels.map((name, index) => ({ name, interface: `wan${index}`, wire: `wire${index}` }));
  return linksBetween(clusters, kinds, (index) => {
    if (index >= MAX_LINKS) throw new RangeError(`a lab has room for ${MAX_LINKS} tunnel links`);
    return linkAddresses(240, index);
  });
}

/** The links between control planes: one for each pair of clusters. */
export function controlPlaneLinks(clusters: readonly string[]): Link[] {
  const kind = { name: CONTROL_PLANE, interface: "ctl", wire: "ctlwire" };
  return linksBetween(clusters, [kind], (index) => linkAddresses(248, index));
}

/** Interfaces are named by number, not by tunnel: a tunnel's name may be longer than the kernel's 15 characters. */
function linksBetween(
  clusters: readonly string[],
  kinds: readonly { readonly name: string; readonly interface: string; readonly wire: string }[],
  addressesOf: (index: number) => [string, string],
): Link[] {
  const links: Link[] = [];
  for (const [i, one] of clusters.entries()) {
    for (const [j, other] of clusters.entries()) {
      if (j <= i) continue;
      for (const kind of kinds) {
        const [address, peerAddress] = addressesOf(links.length);
        const end = (peer: string, number: number): Omit<LinkEnd, "address" | "peerAddress"> => ({
          link: kind.name,
          peer,
          interface: `${kind.interface}-c${number}`,
          wireInterface: `${kind.wire}-c${number}`,
        });
        links.push({
          name: kind.name,
          ends: [
            { cluster: one, end: { ...end(other, j + 1), address, peerAddress } },
            {
              cluster: other,
              end: { ...end(one, i + 1), address: peerAddress, peerAddress: address },
            },
          ],
        });
      }
    }
  }
  return links;
}

/** Number of the routing table that leads into a tunnel, by the tunnel's place in the lab's list. */
export function routingTable(tunnels: readonly string[], tunnel: string): number | undefined {
  const index = tunnels.indexOf(tunnel);
  return index < 0 ? undefined : 101 + index;
}

/** Both addresses of the `index`th /30 from 198.19.`third`.0 on. */
function linkAddresses(third: number, index: number): [string, string] {
  const offset = index * 4;
  const network = `198.19.${third + Math.floor(offset / 256)}`;
  return [`${network}.${(offset % 256) + 1}`, `${network}.${(offset % 256) + 2}`];
}
