/**
 * The virtual hosts of one service in the tables of the shared pools: at the ingress with who may call it, at the egress with
 * from whom requests to it come. Remembered as a whole: there are many services and few hosts each.
 */
import type { Any } from "@bufbuild/protobuf/wkt";
import type { VirtualHost } from "../envoy/envoy/config/route/v3/route_components_pb.ts";
import type { Desired } from "../model/desired.ts";
import { keyOf } from "../model/kube-object.ts";
import { KeyedMemo } from "../model/memo.ts";
import { serverNameOf } from "../model/server-names.ts";
import { accessFilter } from "./access.ts";
import { clientsTable, vouching } from "./clients.ts";
import type { GatewayTrust } from "./gateway-trust.ts";
import type { LoadedGateway } from "./loaded-gateway.ts";
import { onlyFor, onlyOverItsOwn, virtualHosts } from "./virtual-hosts.ts";
import type { HostedRoute } from "./virtual-hosts.ts";

/** A service's part of a table, unique over all tables. */
interface Part {
  readonly scope: string;
  readonly routes: readonly HostedRoute[];
}

const noNames: ReadonlySet<string> = new Set();

export class PooledHosts {
  readonly #trust: GatewayTrust;
  readonly #access = new KeyedMemo<Any>();
  readonly #clients = new KeyedMemo<Any>();
  readonly #hosts = new KeyedMemo<readonly VirtualHost[]>();
  #vouched: Desired["clients"] = new Map();

  constructor(trust: GatewayTrust) {
    this.#trust = trust;
  }

  /** Starts a pass, after that of the trust. */
  startPass({ clients }: Desired): void {
    this.#vouched = clients;
    for (const memo of [this.#access, this.#clients, this.#hosts]) memo.endPass();
  }

  /** At the ingress; names in `taken` are others'. `isMutual`: connections are opened for the service's name, and for no other's. */
  ingress(
    gateway: LoadedGateway,
    part: Part,
    { taken, isMutual }: { readonly taken: ReadonlySet<string>; readonly isMutual: boolean },
  ): readonly VirtualHost[] {
    const { pooled } = gateway.served;
    const asked = isMutual && pooled !== undefined ? serverNameOf(pooled.service) : undefined;
    const access = this.#accessOf(gateway);
    return this.#of(part, { taken, settings: access }, (host) => {
      const own = asked === undefined ? host : onlyOverItsOwn(host, asked);
      return access === undefined ? own : onlyFor(own, access);
    });
  }

  /** At the egress. */
  egress(gateway: LoadedGateway, part: Part): readonly VirtualHost[] {
    const clients = this.#clientsOf(gateway);
    return this.#of(part, { taken: noNames, settings: clients }, (host) =>
      clients === undefined ? host : vouching(host, clients),
    );
  }

  #of(
    { scope, routes }: Part,
    { taken, settings }: { readonly taken: ReadonlySet<string>; readonly settings: Any | undefined },
    finish: (host: VirtualHost) => VirtualHost,
  ): readonly VirtualHost[] {
    const names = routes.flatMap(({ hostnames }) => hostnames);
    const blocked = names.filter((name) => taken.has(name)).join(" ");
    const dependencies = [
      blocked,
      settings,
      ...routes.flatMap(({ translated, hostnames }) => [translated, hostnames]),
    ];
    return this.#hosts.get(scope, dependencies, () =>
      virtualHosts([{ hostname: "*", routes }], taken, (_name, _dependencies, make) => make()).map(finish),
    );
  }

  /** Who may call what of a Gateway's service; undefined where every cluster of the set may. */
  #accessOf({ served: { gateway, pooled } }: LoadedGateway): Any | undefined {
    const access = pooled?.access;
    if (access === undefined) return undefined;
    const { trusted } = this.#trust;
    return this.#access.get(keyOf(gateway.metadata), [access, ...trusted], () =>
      accessFilter(access, trusted),
    );
  }

  /** By what addresses clients of a Gateway's service are known; undefined where nobody asks for any. */
  #clientsOf({ served: { gateway, pooled } }: LoadedGateway): Any | undefined {
    const clients = pooled && this.#vouched.get(keyOf(pooled.service));
    return clients && this.#clients.get(keyOf(gateway.metadata), [clients], () => clientsTable(clients));
  }
}
