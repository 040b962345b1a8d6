/**
 * Route tables: what all requests of a table have done to them, and the table with its virtual hosts. A table whose
 * parts did not change is the same object.
 *
 * Source: Envoy, config.route.v3.RouteConfiguration.
 */
import { create } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { RouteConfigurationSchema } from "../envoy/envoy/config/route/v3/route_pb.ts";
import type { RouteConfiguration } from "../envoy/envoy/config/route/v3/route_pb.ts";
import type { VirtualHost } from "../envoy/envoy/config/route/v3/route_components_pb.ts";
import type { RouteTable } from "../model/envoy-config.ts";
import { KeyedMemo } from "../model/memo.ts";
import { clientHeader, hopHeader, portHeader } from "../model/names.ts";
import { setHeader } from "./filters.ts";
import { callersFilterName } from "./gateway-trust.ts";
import { arrivalHeader, serverNameHeader, unservedHeader } from "./hop-headers.ts";
import type { EdgeRole } from "./http-connection-manager.ts";

/** What a table is for. */
export interface TableUse {
  readonly role: EdgeRole;
  /** Who may call at all; undefined: whoever can. */
  readonly callers?: Any | undefined;
}

export class RouteTables {
  readonly #heads = new KeyedMemo<RouteConfiguration>();
  readonly #tables = new KeyedMemo<RouteTable>();

  /** Starts a pass. */
  startPass(): void {
    this.#heads.endPass();
    this.#tables.endPass();
  }

  /** A table; its name is unique over all fleets. */
  of(name: string, { role, callers }: TableUse, virtualHosts: readonly VirtualHost[]): RouteTable {
    const head = this.#heads.get(name, [role, callers], () => headOf(name, { role, callers }));
    return this.#tables.get(name, [head, ...virtualHosts], () => ({ head, virtualHosts }));
  }
}

function headOf(name: string, { role, callers }: TableUse): RouteConfiguration {
  const wan = {
    // What the peer's gateway said of port and client has done its work when a route is chosen.
    requestHeadersToRemove: [portHeader, clientHeader, arrivalHeader, serverNameHeader],
    // Whatever sends the request on must know that it has crossed the WAN.
    requestHeadersToAdd: [setHeader(hopHeader, "1")],
  };
  return create(RouteConfigurationSchema, {
    name,
    ignorePortInHostMatching: true,
    // Only an ingress may say so of itself (after this), and clients need not know.
    responseHeadersToRemove: [unservedHeader],
    ...(role === "Wan" ? wan : {}),
    ...(callers && { typedPerFilterConfig: { [callersFilterName]: callers } }),
  });
}
