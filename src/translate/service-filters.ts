/**
 * What the virtual hosts of a generated Gateway's service tell the filters before them: who may call, how often, and
 * from whom calls come.
 */
import type { Any } from "@bufbuild/protobuf/wkt";
import type { PooledGateway, VouchedClients } from "../model/desired.ts";
import type { TrustedAuthority } from "../model/identity.ts";
import { accessFilter, accessFilterName } from "./access.ts";
import { clientsFilterName, clientsTable } from "./clients.ts";
import { limitFilterName, requestRate } from "./limits.ts";

/** By the names of the filters. `trusted`: see {@link accessFilter}. */
export function serviceFilters(
  { access, requestsPerSecond }: Pick<PooledGateway, "access" | "requestsPerSecond">,
  {
    trusted,
    clients,
  }: { readonly trusted: readonly TrustedAuthority[]; readonly clients: VouchedClients | undefined },
): Readonly<Record<string, Any>> {
  return {
    ...(access && { [accessFilterName]: accessFilter(access, trusted) }),
    ...(requestsPerSecond && { [limitFilterName]: requestRate(requestsPerSecond) }),
    ...(clients && { [clientsFilterName]: clientsTable(clients) }),
  };
}
