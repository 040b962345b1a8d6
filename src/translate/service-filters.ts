/**
 * What the virtual hosts of a generated Gateway's service tell the filters before them: who may call, and how often.
 */
import type { Any } from "@bufbuild/protobuf/wkt";
import type { PooledGateway } from "../model/desired.ts";
import type { TrustedAuthority } from "../model/identity.ts";
import { accessFilter, accessFilterName } from "./access.ts";
import { limitFilterName, requestRate } from "./limits.ts";

/** By the names of the filters; undefined where every request is let through. `trusted`: see {@link accessFilter}. */
export function serviceFilters(
  { access, requestsPerSecond }: Pick<PooledGateway, "access" | "requestsPerSecond">,
  trusted: readonly TrustedAuthority[],
): Readonly<Record<string, Any>> | undefined {
  if (access === undefined && requestsPerSecond === undefined) return undefined;
  return {
    ...(access && { [accessFilterName]: accessFilter(access, trusted) }),
    ...(requestsPerSecond && { [limitFilterName]: requestRate(requestsPerSecond) }),
  };
}
