/**
 * Backends of the home cluster's Services, from their EndpointSlices: which are ready, and where. Slices that mc-wan
 * writes itself are not backends of anything, nor is an address that can't be a host's.
 */
import type { AdvertisedEndpoint, ReadyBackends } from "../api/service-advertisement.ts";
import type { ObjectTypes } from "../model/kinds.ts";
import { isReachable } from "../model/ipv4.ts";
import { labels } from "../model/names.ts";
import { compare } from "../model/order.ts";
import { slicesByService } from "../model/service-slices.ts";
import type { SlicesByService } from "../model/service-slices.ts";
import type { Store } from "../model/world.ts";

type EndpointSlice = ObjectTypes["EndpointSlice"];

/** Not by the label managed-by: Kubernetes copies a Service's labels to its slices, those of our own Services too. */
const isWrittenByUs = ({ metadata }: EndpointSlice): boolean =>
  metadata.labels?.[labels.sliceManagedBy] === labels.managedByValue;

/** The slices of each Service, without ours. */
export function backendSlices(slices: Store<EndpointSlice>): SlicesByService {
  return slicesByService(slices, (slice) => !isWrittenByUs(slice));
}

/** Endpoints of a Service, one per address, sorted by address; ready if any slice says so. */
export function endpointsOf(slices: readonly EndpointSlice[]): AdvertisedEndpoint[] {
  const byAddress = new Map<string, AdvertisedEndpoint>();
  for (const slice of slices) {
    for (const endpoint of slice.endpoints ?? []) {
      // Addresses of one endpoint are fungible: the first stands for it.
      const [address] = endpoint.addresses;
      if (address === undefined || !isReachable(address)) continue;
      const ready = endpoint.conditions?.ready ?? true;
      if (byAddress.get(address)?.ready === true) continue;
      byAddress.set(address, {
        addresses: [address],
        ready,
        ...(endpoint.hostname === undefined ? {} : { hostname: endpoint.hostname }),
        ...(endpoint.zone === undefined ? {} : { zone: endpoint.zone }),
      });
    }
  }
  return [...byAddress].sort(([a], [b]) => compare(a, b)).map(([, endpoint]) => endpoint);
}

/** Addresses of slices that can't be a host's, each once, in order. */
export function unreachableOf(slices: readonly EndpointSlice[]): readonly string[] {
  const all = slices.flatMap(({ endpoints }) =>
    (endpoints ?? []).flatMap(({ addresses }) => addresses[0] ?? []),
  );
  return [...new Set(all)].filter((address) => !isReachable(address)).sort(compare);
}

/** Schema of the ServiceAdvertisement. */
const maxZones = 256;

/** How many are ready in each zone, sorted by zone; zones with none are left out, those beyond 256 have no name. */
export function readyByZone(endpoints: readonly AdvertisedEndpoint[]): ReadyBackends[] {
  const counts = new Map<string, number>();
  for (const { ready, zone = "" } of endpoints) {
    if (ready) counts.set(zone, (counts.get(zone) ?? 0) + 1);
  }
  const all = [...counts].sort(([a], [b]) => compare(a, b)).map(([zone, count]) => ({ zone, count }));
  if (all.length <= maxZones) return all;
  // Without a name they still count: peers weigh by all of them together.
  const rest = all.slice(maxZones - 1).reduce((sum, { count }) => sum + count, counts.get("") ?? 0);
  return [{ zone: "", count: rest }, ...all.slice(0, maxZones - 1).filter(({ zone }) => zone !== "")];
}
