/**
 * The home cluster's own pod and service ranges, as far as the API tells them: of Nodes `spec.podCIDRs`, and ServiceCIDRs
 * (Kubernetes 1.33 and newer). Never guesses: where nothing is said, nothing is in a range. Also which addresses that
 * peers advertise are in them.
 */
import type { GatewayEndpoint } from "../api/gateway-advertisement.ts";
import type { HomeObjects, World } from "../model/world.ts";

/** IPv4 ranges that can be asked for an address. */
export interface OwnRanges {
  /** `pod range 10.244.1.0/24` or `service range 10.96.0.0/12`, for a person; undefined if the address is in neither. */
  readonly find: (address: string) => string | undefined;
}

/** The ranges of a home cluster. */
export function ownRanges(home: Pick<HomeObjects, "Node" | "ServiceCIDR">): OwnRanges {
  // By length of the prefix, then by network: thousands of Nodes have ranges of one length.
  const byLength = new Map<number, Map<number, string>>();
  const add = (use: string, cidr: string): void => {
    const [text = "", length = ""] = cidr.split("/");
    const address = ipv4(text);
    const prefix = Number(length);
    if (address === undefined || !Number.isInteger(prefix) || prefix < 1 || prefix > 32) return;
    const networks = byLength.get(prefix) ?? new Map<number, string>();
    byLength.set(prefix, networks);
    const network = networkOf(address, prefix);
    if (!networks.has(network)) networks.set(network, `${use} range ${cidr}`);
  };
  for (const { spec } of home.ServiceCIDR.values())
    for (const cidr of spec?.cidrs ?? []) add("service", cidr);
  for (const { spec } of home.Node.values()) for (const cidr of spec?.podCIDRs ?? []) add("pod", cidr);
  const lengths = [...byLength].sort(([a], [b]) => b - a);
  return {
    find: (text) => {
      const address = ipv4(text);
      if (address === undefined) return undefined;
      for (const [prefix, networks] of lengths) {
        const range = networks.get(networkOf(address, prefix));
        if (range !== undefined) return range;
      }
      return undefined;
    },
  };
}

/** What peers advertise and is ours: by address, what it is here, for a person. */
export function overlaps(
  { home, peers }: World,
  own: {
    readonly ranges: OwnRanges;
    readonly clusterIPs: ReadonlyMap<string, unknown>;
    readonly homeEndpoints: readonly GatewayEndpoint[];
  },
): ReadonlyMap<string, string> {
  const single = new Set(own.homeEndpoints.map(({ address }) => address));
  for (const { status } of home.Pod.values()) if (status?.podIP !== undefined) single.add(status.podIP);
  const found = new Map<string, string>();
  for (const { objects } of peers) {
    for (const { spec } of objects.GatewayAdvertisement.values()) {
      for (const { address } of spec.endpoints) {
        const range = own.ranges.find(address);
        if (range !== undefined) found.set(address, `in this cluster's own ${range}`);
        else if (single.has(address) || own.clusterIPs.has(address))
          found.set(address, "an address of this cluster");
      }
    }
  }
  return found;
}

const networkOf = (address: number, prefix: number): number => Math.floor(address / 2 ** (32 - prefix));

/** The number that an IPv4 address is; undefined for all else. */
function ipv4(text: string): number | undefined {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) <= 255))
    return undefined;
  return parts.reduce((number, part) => number * 256 + Number(part), 0);
}
