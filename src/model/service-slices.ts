/** EndpointSlices by the Service that they stand for: what both pure stages start from. */
import type { ObjectTypes } from "./kinds.ts";
import { labels } from "./names.ts";
import { compare } from "./order.ts";
import type { Store } from "./world.ts";

type EndpointSlice = ObjectTypes["EndpointSlice"];

/** The IPv4 slices of each Service, by `namespace/name` of the Service, in the order of their names. */
export type SlicesByService = ReadonlyMap<string, readonly EndpointSlice[]>;

/** Indexes slices. `isWanted` leaves out those that it denies. */
export function slicesByService(
  slices: Store<EndpointSlice>,
  isWanted: (slice: EndpointSlice) => boolean = () => true,
): SlicesByService {
  const byService = new Map<string, EndpointSlice[]>();
  for (const slice of slices.values()) {
    const service = slice.metadata.labels?.[labels.kubeServiceName];
    if (service === undefined || slice.addressType !== "IPv4" || !isWanted(slice)) continue;
    const key = `${slice.metadata.namespace ?? ""}/${service}`;
    const list = byService.get(key);
    if (list === undefined) byService.set(key, [slice]);
    else list.push(slice);
  }
  for (const list of byService.values()) {
    if (list.length > 1) list.sort((a, b) => compare(a.metadata.name, b.metadata.name));
  }
  return byService;
}
