/**
 * Gateways with their attached routes → what each fleet of Envoys is served.
 *
 *     ingress pool    one listener per policy port, one table for all of them
 *     egress pool     a listener and a table per imported port
 *     user's Gateway  a listener and a table per port
 */
import type { Cluster } from "../envoy/envoy/config/cluster/v3/cluster_pb.ts";
import type { ClusterLoadAssignment } from "../envoy/envoy/config/endpoint/v3/endpoint_pb.ts";
import type { Listener } from "../envoy/envoy/config/listener/v3/listener_pb.ts";
import type { VirtualHost } from "../envoy/envoy/config/route/v3/route_components_pb.ts";
import type { Desired, FleetName, ServedGateway } from "../model/desired.ts";
import type { FleetConfig, GatewayResources, RouteTable } from "../model/envoy-config.ts";
import type { RouteKind } from "../model/kinds.ts";
import { keyOf } from "../model/kube-object.ts";
import { KeyedMemo } from "../model/memo.ts";
import { byAge, compare, sortedEntries } from "../model/order.ts";
import type { World } from "../model/world.ts";
import type { Attachment } from "./attach.ts";
import type { ClusterSpec } from "./backends.ts";
import { Clusters, withParts } from "./clusters.ts";
import { Endpoints } from "./endpoints.ts";
import type { Route } from "./gateway-api.ts";
import { envoyListener, isServed } from "./listeners.ts";
import type { EnvoyPort, JudgedListener } from "./listeners.ts";
import { RouteTables } from "./route-tables.ts";
import type { Place, TranslatedRoute } from "./routes.ts";
import { virtualHosts } from "./virtual-hosts.ts";
import type { HostedRoute, HostingListener } from "./virtual-hosts.ts";

/** A route that is attached to a Gateway. */
export interface RouteAtGateway {
  readonly kind: RouteKind;
  readonly route: Route;
  /** `namespace/name` of the route. */
  readonly key: string;
  readonly attachments: readonly Attachment[];
  /** The same, each with the translation for a table of the listener's own. */
  readonly hosted: readonly HostedAt[];
  /** Its translation for a place; the same object for the same place. */
  readonly translate: (place: Place) => TranslatedRoute;
}

export interface HostedAt {
  readonly listener: JudgedListener;
  readonly route: HostedRoute;
}

/** A Gateway, judged, with its routes in the order of their keys. */
export interface LoadedGateway {
  readonly served: ServedGateway;
  readonly listeners: readonly JudgedListener[];
  readonly routes: readonly RouteAtGateway[];
}

/** The parts of a FleetConfig while it is put together. */
interface FleetParts {
  readonly ports: Map<string, EnvoyPort>;
  readonly tables: Map<string, RouteTable>;
  readonly specs: Map<string, ClusterSpec>;
  readonly gateways: Map<string, GatewayResources>;
}

export class Fleets {
  readonly #clusters = new Clusters();
  readonly #endpoints = new Endpoints();
  readonly #tables = new RouteTables();
  readonly #listeners = new KeyedMemo<Listener>();
  /** Of each Gateway with tables of its own, by table. */
  readonly #virtualHosts = new KeyedMemo<Map<string, KeyedMemo<VirtualHost>>>();
  readonly #own = new KeyedMemo<OwnTables>();
  readonly #pooledHosts = new KeyedMemo<readonly VirtualHost[]>();
  readonly #resources = new KeyedMemo<GatewayResources>();
  readonly #configs = new KeyedMemo<FleetConfig>();

  /** Starts a pass over one World. */
  startPass(world: World, desired: Desired): void {
    this.#clusters.startPass();
    this.#endpoints.startPass(world, desired);
    this.#tables.startPass();
    for (const memo of [
      this.#listeners,
      this.#virtualHosts,
      this.#own,
      this.#pooledHosts,
      this.#resources,
      this.#configs,
    ])
      memo.endPass();
  }

  /** What one fleet is served. */
  of(name: FleetName, gateways: readonly LoadedGateway[]): FleetConfig {
    const parts: FleetParts = { ports: new Map(), tables: new Map(), specs: new Map(), gateways: new Map() };
    this.#addIngress(
      name,
      gateways.filter(({ served }) => served.pooled?.role === "Ingress"),
      parts,
    );
    for (const gateway of gateways) {
      if (gateway.served.pooled === undefined) this.#addOwn(gateway, parts);
      else if (gateway.served.pooled.role === "Egress") this.#addEgress(gateway, parts);
    }
    return this.#assemble(name, parts);
  }

  /** All policy ports share one table; a route that holds on some of them only matches the port too. */
  #addIngress(fleet: FleetName, gateways: readonly LoadedGateway[], parts: FleetParts): void {
    if (gateways.length === 0) return;
    const table = `ingress/${fleet}`;
    const ports = new Set(
      gateways.flatMap(({ listeners }) =>
        listeners.filter(isServed).map(({ containerPort }) => containerPort),
      ),
    );
    for (const port of ports)
      parts.ports.set(`ingress/${port}`, { name: `ingress/${port}`, port, routeTable: table, role: "Wan" });

    const taken = new Set<string>();
    const hosts: VirtualHost[] = [];
    // Where two services could have one name, the older Gateway has it.
    for (const gateway of gateways.toSorted((a, b) => byAge(a.served.gateway, b.served.gateway))) {
      const routes = gateway.routes.flatMap((route) => ingressRoutes(route, ports.size));
      collectSpecs(routes, parts);
      const found = this.#pooled(`ingress ${keyOf(gateway.served.gateway.metadata)}`, routes, taken);
      for (const domain of found.flatMap(({ domains }) => domains)) taken.add(domain);
      hosts.push(...found);
      const own = gateway.listeners.filter(isServed).map(({ containerPort }) => `ingress/${containerPort}`);
      this.#addGateway(gateway, { listeners: own, routes: own.length === 0 ? [] : [table] }, parts);
    }
    if (ports.size > 0) {
      parts.tables.set(
        table,
        this.#tables.of(
          table,
          "Wan",
          hosts.sort((a, b) => compare(a.name, b.name)),
        ),
      );
    }
  }

  /** Every imported port has a port of its own, so that clients need not send a Host that tells services apart. */
  #addEgress(gateway: LoadedGateway, parts: FleetParts): void {
    const names: string[] = [];
    for (const listener of gateway.listeners.filter(isServed)) {
      const name = `egress/${keyOf(gateway.served.pooled?.service ?? gateway.served.gateway.metadata)}/${listener.listener.name}`;
      names.push(name);
      const routes = hosted(gateway.routes, listener);
      collectSpecs(routes, parts);
      parts.ports.set(name, { name, port: listener.containerPort, routeTable: name, role: "Client" });
      parts.tables.set(name, this.#tables.of(name, "Client", this.#pooled(name, routes, new Set())));
    }
    this.#addGateway(gateway, { listeners: names, routes: names }, parts);
  }

  /** A Gateway of a user: what its tables hold is found once for the same listeners and routes. */
  #addOwn(gateway: LoadedGateway, parts: FleetParts): void {
    const key = keyOf(gateway.served.gateway.metadata);
    const memory = this.#virtualHosts.get(key, [], () => new Map<string, KeyedMemo<VirtualHost>>());
    const own = this.#own.get(key, [gateway.listeners, gateway.routes], () => ownTables(gateway, memory));
    for (const [name, spec] of own.specs) parts.specs.set(name, spec);
    for (const { port, hosts } of own.tables) {
      parts.ports.set(port.name, port);
      parts.tables.set(port.name, this.#tables.of(port.name, port.role, hosts));
    }
    const names = own.tables.map(({ port }) => port.name);
    this.#addGateway(gateway, { listeners: names, routes: names }, parts);
  }

  /** Virtual hosts of one service, remembered as a whole: there are many services and few hosts each. */
  #pooled(scope: string, routes: readonly HostedRoute[], taken: Set<string>): readonly VirtualHost[] {
    const names = routes.flatMap(({ hostnames }) => hostnames);
    const blocked = names.filter((name) => taken.has(name)).join(" ");
    const dependencies = [blocked, ...routes.flatMap(({ translated, hostnames }) => [translated, hostnames])];
    return this.#pooledHosts.get(scope, dependencies, () =>
      virtualHosts([{ hostname: "*", routes }], taken, (_name, _dependencies, make) => make()),
    );
  }

  #addGateway(
    { served }: LoadedGateway,
    names: { listeners: readonly string[]; routes: readonly string[] },
    parts: FleetParts,
  ): void {
    const key = keyOf(served.gateway.metadata);
    const generation = served.gateway.metadata.generation ?? 0;
    const listeners = names.listeners.toSorted(compare);
    const routes = names.routes.toSorted(compare);
    const dependencies = [generation, listeners.join(" "), routes.join(" ")];
    parts.gateways.set(
      key,
      this.#resources.get(key, dependencies, () => ({ generation, listeners, routes, secrets: [] })),
    );
  }

  /** Maps in the order of names; a fleet in which nothing changed is the same object. */
  #assemble(fleet: FleetName, { ports, tables, specs, gateways }: FleetParts): FleetConfig {
    const listeners = sortedEntries(ports).map(([name, port]): [string, Listener] => {
      const { port: number, routeTable, role } = port;
      return [
        name,
        this.#listeners.get(`${fleet} ${name}`, [number, routeTable, role], () => envoyListener(port)),
      ];
    });
    const clusters: [string, Cluster][] = [];
    const endpoints: [string, ClusterLoadAssignment][] = [];
    for (const [name, spec] of sortedEntries(specs)) {
      clusters.push([name, this.#clusters.of(spec)]);
      if (spec.form !== "HomeFirst") endpoints.push([name, this.#endpoints.of(spec)]);
    }
    const lists = [listeners, sortedEntries(tables), clusters, endpoints, sortedEntries(gateways)] as const;
    // What a list holds says its names.
    const dependencies = lists.flatMap((list) => [list.length, ...list.map(([, item]) => item)]);
    return this.#configs.get(fleet, dependencies, () => ({
      listeners: new Map(lists[0]),
      routes: new Map(lists[1]),
      clusters: new Map(lists[2]),
      endpoints: new Map(lists[3]),
      tables: new Map(sortedEntries(ports).map(([name, { routeTable }]) => [name, [routeTable]])),
      secrets: new Map(),
      clusterSecrets: new Map(),
      gateways: new Map(lists[4]),
    }));
  }
}

/** What a Gateway with tables of its own gives its fleet. */
interface OwnTables {
  readonly tables: readonly { readonly port: EnvoyPort; readonly hosts: readonly VirtualHost[] }[];
  readonly specs: ReadonlyMap<string, ClusterSpec>;
}

/** One table per port; `memory` has the virtual hosts of the last time. */
function ownTables(gateway: LoadedGateway, memory: Map<string, KeyedMemo<VirtualHost>>): OwnTables {
  const byPort = Map.groupBy(gateway.listeners.filter(isServed), ({ containerPort }) => containerPort);
  const specs = new Map<string, ClusterSpec>();
  const tables = [...byPort].map(([port, listeners]) => {
    const name = `gateway/${keyOf(gateway.served.gateway.metadata)}/${port}`;
    const hosting = listeners.map((listener): HostingListener => {
      const routes = hosted(gateway.routes, listener);
      collectSpecs(routes, { specs });
      return { hostname: listener.hostname, routes };
    });
    // Names of listeners that clash are nobody's: they don't fall to a wider listener.
    const clashing = gateway.listeners.filter(
      (one) => one.conflict !== undefined && one.containerPort === port,
    );
    hosting.push(...clashing.map(({ hostname }) => ({ hostname, routes: [] })));
    const memo = memory.get(name) ?? new KeyedMemo<VirtualHost>();
    memo.endPass();
    const hosts = virtualHosts(hosting, new Set(), (host, dependencies, make) =>
      memo.get(host, dependencies, make),
    );
    memory.set(name, memo);
    return { port: { name, port, routeTable: name, role: "Client" } satisfies EnvoyPort, hosts };
  });
  for (const name of memory.keys()) if (!tables.some(({ port }) => port.name === name)) memory.delete(name);
  return { tables, specs };
}

/** Routes at one listener of a Gateway with a table of its own for the port. */
function hosted(routes: readonly RouteAtGateway[], listener: JudgedListener): readonly HostedRoute[] {
  const found: HostedRoute[] = [];
  for (const { hosted: all } of routes) {
    for (const { listener: at, route } of all) if (at === listener) found.push(route);
  }
  return found;
}

/** A route in the shared table: once for each set of hostnames, limited to ports unless it holds on all of the pool's. */
function ingressRoutes(route: RouteAtGateway, poolPorts: number): HostedRoute[] {
  const open = route.attachments.filter(({ listener }) => isServed(listener));
  const byHostnames = Map.groupBy(open, ({ hostnames }) => hostnames.join(" "));
  return [...byHostnames.values()].flatMap((attachments): HostedRoute[] => {
    const [first] = attachments;
    if (first === undefined) return [];
    const ports = attachments.map(({ listener }) => listener.containerPort).sort((a, b) => a - b);
    const place: Place = {
      listenerPort: first.listener.listener.port,
      hasCrossed: true,
      ...(ports.length < poolPorts ? { arrivalPorts: ports } : {}),
    };
    return [
      {
        id: `${route.key} ${ports.join(",")}`,
        translated: route.translate(place),
        hostnames: first.hostnames,
      },
    ];
  });
}

function collectSpecs(routes: readonly HostedRoute[], { specs }: Pick<FleetParts, "specs">): void {
  for (const { translated } of routes) {
    for (const spec of translated.clusters) for (const part of withParts(spec)) specs.set(part.name, part);
  }
}
