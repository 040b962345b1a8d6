/**
 * The virtual hosts of one service in the tables of the shared pools, with what they tell the filters before them: at the
 * ingress who may call it, at the egress how often, and from whom requests come. Remembered as a whole: there are many services and few hosts each.
 */
import type { Any } from "@bufbuild/protobuf/wkt";
import type { VirtualHost } from "../envoy/envoy/config/route/v3/route_components_pb.ts";
import type { Desired, VouchedClients } from "../model/desired.ts";
import { keyOf } from "../model/kube-object.ts";
import { KeyedMemo } from "../model/memo.ts";
import { serverNameOf } from "../model/server-names.ts";
import { vouching } from "./clients.ts";
import type { GatewayTrust } from "./gateway-trust.ts";
import type { LoadedGateway } from "./loaded-gateway.ts";
import { serviceFilters } from "./service-filters.ts";
import { guarded, onlyOverItsOwn, virtualHosts } from "./virtual-hosts.ts";
import type { HostedRoute } from "./virtual-hosts.ts";

/** A service's part of a table, unique over all tables. */
interface Part {
  readonly scope: string;
  readonly routes: readonly HostedRoute[];
}

const noNames: ReadonlySet<string> = new Set();

export class PooledHosts {
  readonly #trust: GatewayTrust;
  readonly #filters = new KeyedMemo<Readonly<Record<string, Any>>>();
  readonly #hosts = new KeyedMemo<readonly VirtualHost[]>();
  #vouched: Desired["clients"] = new Map();

  constructor(trust: GatewayTrust) {
    this.#trust = trust;
  }

  /** Starts a pass, after that of the trust. */
  startPass({ clients }: Desired): void {
    this.#vouched = clients;
    for (const memo of [this.#filters, this.#hosts]) memo.endPass();
  }

  /** At the ingress; names in `taken` are others'. `isMutual`: connections are opened for the service's name, and for no other's. */
  ingress(
    gateway: LoadedGateway,
    part: Part,
    { taken, isMutual }: { readonly taken: ReadonlySet<string>; readonly isMutual: boolean },
  ): readonly VirtualHost[] {
    const { pooled } = gateway.served;
    const asked = isMutual && pooled !== undefined ? serverNameOf(pooled.service) : undefined;
    const filters = this.#filtersOf(gateway, undefined);
    return this.#of(part, { taken, filters }, (host) =>
      asked === undefined ? host : onlyOverItsOwn(host, asked),
    );
  }

  /** At the egress. */
  egress(gateway: LoadedGateway, part: Part): readonly VirtualHost[] {
    const { pooled } = gateway.served;
    const clients = pooled && this.#vouched.get(keyOf(pooled.service));
    const filters = this.#filtersOf(gateway, clients);
    return this.#of(part, { taken: noNames, filters }, (host) =>
      clients === undefined ? host : vouching(host),
    );
  }

  #of(
    { scope, routes }: Part,
    {
      taken,
      filters,
    }: {
      readonly taken: ReadonlySet<string>;
      readonly filters: Readonly<Record<string, Any>> | undefined;
    },
    finish: (host: VirtualHost) => VirtualHost,
  ): readonly VirtualHost[] {
    const names = routes.flatMap(({ hostnames }) => hostnames);
    const blocked = names.filter((name) => taken.has(name)).join(" ");
    const dependencies = [
      blocked,
      filters,
      ...routes.flatMap(({ translated, hostnames }) => [translated, hostnames]),
    ];
    return this.#hosts.get(scope, dependencies, () => {
      const hosts = virtualHosts([{ hostname: "*", routes }], taken, (_name, _dependencies, make) => make());
      const own = hosts.map(finish);
      return filters === undefined ? own : own.map((host) => guarded(host, filters));
    });
  }

  /** What a generated Gateway's virtual hosts tell filters; undefined where they let everything through, whosever it is. */
  #filtersOf(
    { served: { gateway, pooled } }: LoadedGateway,
    clients: VouchedClients | undefined,
  ): Readonly<Record<string, Any>> | undefined {
    const { access, requestsPerSecond } = pooled ?? {};
    // Most say nothing, and there are many.
    if (access === undefined && requestsPerSecond === undefined && clients === undefined) return undefined;
    const { trusted } = this.#trust;
    return this.#filters.get(
      keyOf(gateway.metadata),
      [access, requestsPerSecond, clients, ...(access === undefined ? [] : trusted)],
      () => serviceFilters(pooled ?? {}, { trusted, clients }),
    );
  }
}
