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
import type { Secret } from "../envoy/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts";
import type { Desired, DrainingPort, FleetName } from "../model/desired.ts";
import type { FleetConfig, GatewayResources, RouteTable } from "../model/envoy-config.ts";
import { keyOf } from "../model/kube-object.ts";
import { KeyedMemo } from "../model/memo.ts";
import { byAge, compare, sortedEntries } from "../model/order.ts";
import type { Redacted } from "../model/redacted.ts";
import type { World } from "../model/world.ts";
import type { ClusterSpec } from "./backends.ts";
import type { Material } from "./certificates.ts";
import { Clusters } from "./clusters.ts";
import { Endpoints } from "./endpoints.ts";
import { egressPort, envoyListener, gatewaysPort, routeTablesOf, wanPort } from "./envoy-listeners.ts";
import type { EnvoyPort } from "./envoy-listeners.ts";
import type { GatewayTrust } from "./gateway-trust.ts";
import { materialsOf } from "./gateway-tls.ts";
import { ingressRoutes } from "./ingress-routes.ts";
import { isServed } from "./judged-listener.ts";
import type { JudgedListener } from "./judged-listener.ts";
import { collectSpecs, hosted } from "./loaded-gateway.ts";
import type { LoadedGateway } from "./loaded-gateway.ts";
import { ownTables } from "./own-tables.ts";
import type { OwnTables } from "./own-tables.ts";
import { PooledHosts } from "./pooled-hosts.ts";
import { RouteTables } from "./route-tables.ts";
import type { GatewayPass } from "./upstream-tls.ts";
import { namedSpecs, streamPort, streamSpecs } from "./stream-ports.ts";

/** The parts of a FleetConfig while it is put together. */
interface FleetParts {
  readonly ports: Map<string, EnvoyPort>;
  readonly tables: Map<string, RouteTable>;
  readonly specs: Map<string, ClusterSpec>;
  readonly gateways: Map<string, GatewayResources>;
  readonly secrets: Map<string, Redacted<Secret>>;
  /** What the fleet's Gateway shows to backends that speak TLS. */
  readonly shown: Material | undefined;
}

export class Fleets {
  readonly #trust: GatewayTrust;
  readonly #hosts: PooledHosts;
  readonly #clusters = new Clusters();
  readonly #endpoints = new Endpoints();
  readonly #tables = new RouteTables();
  readonly #listeners = new KeyedMemo<Listener>();
  /** Of each Gateway with tables of its own, by table. */
  readonly #virtualHosts = new KeyedMemo<Map<string, KeyedMemo<VirtualHost>>>();
  readonly #own = new KeyedMemo<OwnTables>();
  readonly #resources = new KeyedMemo<GatewayResources>();
  readonly #configs = new KeyedMemo<FleetConfig>();

  /** Ports at which the ingress pool still listens for a policy, by its name. */
  #draining: ReadonlyMap<string, readonly DrainingPort[]> = new Map();

  constructor(trust: GatewayTrust) {
    this.#trust = trust;
    this.#hosts = new PooledHosts(trust);
  }

  /** Starts a pass over one World, after that of the trust. */
  startPass(world: World, desired: Desired): void {
    this.#clusters.startPass(desired);
    this.#endpoints.startPass(world, desired);
    this.#tables.startPass();
    this.#hosts.startPass(desired);
    this.#draining = Map.groupBy(desired.draining, ({ policy }) => policy);
    for (const memo of [this.#listeners, this.#virtualHosts, this.#own, this.#resources, this.#configs])
      memo.endPass();
  }

  /** What one fleet is served. */
  of(name: FleetName, gateways: readonly LoadedGateway[]): FleetConfig {
    const parts: FleetParts = {
      ports: new Map(),
      tables: new Map(),
      specs: new Map(),
      gateways: new Map(),
      secrets: new Map(),
      shown: gateways.map(({ tls }) => tls.client).find((client) => client && !("reason" in client)) as
        Material | undefined,
    };
    const ingress = gateways.filter(({ served }) => served.pooled?.role === "Ingress");
    this.#addIngress(`ingress/${name}`, { ingress, way: "Http" }, parts);
    this.#addIngress(`ingress-tls/${name}`, { ingress, way: "Https" }, parts);
    for (const gateway of ingress) this.#addIngressGateway(name, gateway, parts);
    for (const gateway of gateways) {
      if (gateway.served.pooled === undefined) this.#addOwn(gateway, parts);
      else if (gateway.served.pooled.role === "Egress") this.#addEgress(gateway, parts);
    }
    return this.#assemble(name, parts);
  }

  /** All policy ports of one mode share one table; a route that holds on some of them only matches the port too. */
  #addIngress(table: string, { ingress, way }: IngressPart, parts: FleetParts): void {
    const isOfPart = (listener: JudgedListener): boolean => isServed(listener) && listener.way === way;
    const ports = new Map(
      ingress.flatMap(({ listeners }) =>
        listeners
          .filter(isOfPart)
          .flatMap((listener) => this.#portsOf(listener).map((port) => [port, listener] as const)),
      ),
    );
    if (ports.size === 0) return;
    for (const [port, { tls }] of ports) {
      const name = `ingress/${port}`;
      const at = { name, port, role: "Wan" as const };
      parts.ports.set(
        name,
        tls === undefined ? wanPort({ name, port }, table) : gatewaysPort(at, { table, tls }),
      );
      for (const { name: secret, secret: content } of tls === undefined ? [] : materialsOf(tls))
        parts.secrets.set(secret, content);
    }

    const taken = new Set<string>();
    const hosts: VirtualHost[] = [];
    // Where two services could have one name, the older Gateway has it.
    for (const gateway of ingress.toSorted((a, b) => byAge(a.served.gateway, b.served.gateway))) {
      const routes = gateway.routes.flatMap((route) =>
        ingressRoutes(route, { isOfPart, ports: ports.size, portsOf: (listener) => this.#portsOf(listener) }),
      );
      collectSpecs(routes, parts);
      for (const spec of streamSpecs(gateway)) parts.specs.set(spec.name, spec);
      const scope = `${table} ${keyOf(gateway.served.gateway.metadata)}`;
      const found = this.#hosts.ingress(gateway, { scope, routes }, { taken, isMutual: way === "Https" });
      for (const domain of found.flatMap(({ domains }) => domains)) taken.add(domain);
      hosts.push(...found);
    }
    const callers = way === "Https" ? this.#trust.callers : undefined;
    hosts.sort((a, b) => compare(a.name, b.name));
    parts.tables.set(table, this.#tables.of(table, { role: "Wan", callers }, hosts));
  }

  #addIngressGateway(fleet: FleetName, gateway: LoadedGateway, parts: FleetParts): void {
    const open = gateway.listeners.filter(isServed);
    const listeners = open.map(({ containerPort }) => `ingress/${containerPort}`);
    const tables = new Set(open.map(({ way }) => `${way === "Https" ? "ingress-tls" : "ingress"}/${fleet}`));
    const secrets = new Set(open.flatMap(({ tls }) => (tls === undefined ? [] : materialsOf(tls))));
    const names = { listeners, routes: [...tables], secrets: [...secrets].map(({ name }) => name) };
    this.#addGateway(gateway, names, parts);
  }

  /** A listener of a policy is open at the policy's port, and at those before until peers have left them. */
  #portsOf({ containerPort, listener, way }: JudgedListener): readonly number[] {
    const draining = this.#draining.size === 0 ? undefined : this.#draining.get(listener.name);
    if (draining === undefined) return [containerPort];
    // A port of another mode is closed at once: nobody who follows the policy sends there any more.
    const ofMode = draining.filter(({ mode = "Plain" }) => (mode === "MutualTLS") === (way === "Https"));
    return [containerPort, ...ofMode.map(({ port }) => port)];
  }

  /** Every imported port has a port of its own, so that clients need not send a Host that tells services apart. */
  #addEgress(gateway: LoadedGateway, parts: FleetParts): void {
    const names: string[] = [];
    const tables: string[] = [];
    for (const listener of gateway.listeners.filter(isServed)) {
      const name = `egress/${keyOf(gateway.served.pooled?.service ?? gateway.served.gateway.metadata)}/${listener.listener.name}`;
      names.push(name);
      if (listener.way === "Tcp") {
        parts.ports.set(
          name,
          streamPort({ name, port: listener.containerPort, role: "Client" }, gateway.streams, listener),
        );
        continue;
      }
      tables.push(name);
      const routes = hosted(gateway.routes, listener);
      collectSpecs(routes, parts);
      parts.ports.set(name, egressPort({ name, port: listener.containerPort }, name));
      const hosts = this.#hosts.egress(gateway, { scope: name, routes });
      parts.tables.set(name, this.#tables.of(name, { role: "Client" }, hosts));
    }
    for (const spec of namedSpecs(
      gateway.streams,
      names.flatMap((name) => parts.ports.get(name) ?? []),
    ))
      parts.specs.set(spec.name, spec);
    this.#addGateway(gateway, { listeners: names, routes: tables }, parts);
  }

  /** A Gateway of a user: what its tables hold is found once for the same listeners and routes. */
  #addOwn(gateway: LoadedGateway, parts: FleetParts): void {
    const key = keyOf(gateway.served.gateway.metadata);
    const memory = this.#virtualHosts.get(key, [], () => new Map<string, KeyedMemo<VirtualHost>>());
    const dependencies = [gateway.listeners, gateway.routes, gateway.streams];
    const own = this.#own.get(key, dependencies, () => ownTables(gateway, memory));
    for (const [name, spec] of own.specs) parts.specs.set(name, spec);
    for (const port of own.ports) parts.ports.set(port.name, port);
    for (const [name, hosts] of own.tables)
      parts.tables.set(name, this.#tables.of(name, { role: "Client" }, hosts));
    for (const [name, secret] of own.secrets) parts.secrets.set(name, secret);
    const listeners = own.ports.map(({ name }) => name);
    const names = { listeners, routes: [...own.tables.keys()], secrets: [...own.secrets.keys()] };
    this.#addGateway(gateway, names, parts);
  }

  #addGateway(
    { served }: LoadedGateway,
    names: Omit<Partial<GatewayResources>, "generation">,
    parts: FleetParts,
  ): void {
    const key = keyOf(served.gateway.metadata);
    const generation = served.gateway.metadata.generation ?? 0;
    const listeners = (names.listeners ?? []).toSorted(compare);
    const routes = (names.routes ?? []).toSorted(compare);
    const secrets = (names.secrets ?? []).toSorted(compare);
    const dependencies = [generation, listeners.join(" "), routes.join(" "), secrets.join(" ")];
    parts.gateways.set(
      key,
      this.#resources.get(key, dependencies, () => ({ generation, listeners, routes, secrets })),
    );
  }

  /** What lets a fleet in at the gateways behind a cluster; undefined where nothing does. */
  #passOf(fleet: FleetName, spec: ClusterSpec): GatewayPass | undefined {
    if (spec.form !== "Wan" || spec.mutualTls === undefined) return undefined;
    const identity = this.#trust.identityOf(fleet);
    const authorities = this.#trust.ingressOf(spec.mutualTls.exporters);
    return identity && authorities && { identity, authorities };
  }

  /** Maps in the order of names; a fleet in which nothing changed is the same object. */
  #assemble(fleet: FleetName, { ports, tables, specs, gateways, secrets, shown }: FleetParts): FleetConfig {
    const listeners = sortedEntries(ports).map(([name, port]): [string, Listener] => {
      return [
        name,
        this.#listeners.get(`${fleet} ${name}`, [JSON.stringify(port)], () => envoyListener(port)),
      ];
    });
    const clusters: [string, Cluster][] = [];
    const endpoints: [string, ClusterLoadAssignment][] = [];
    const clusterSecrets: [string, readonly string[]][] = [];
    for (const [name, spec] of sortedEntries(specs)) {
      const pass = this.#passOf(fleet, spec);
      clusters.push([name, this.#clusters.of(spec, shown, pass)]);
      if (spec.form === "Wan" && spec.mutualTls !== undefined) {
        // Without a pass nobody stands behind it.
        if (pass === undefined) continue;
        const { identity, authorities } = pass;
        for (const material of [identity, authorities]) secrets.set(material.name, material.secret);
        clusterSecrets.push([name, [identity.name, authorities.name]]);
      }
      if (spec.form === "Service" && spec.tls !== undefined) {
        const needed = [spec.tls.authorities, shown].filter((material) => material !== undefined);
        for (const material of needed) secrets.set(material.name, material.secret);
        if (needed.length > 0) clusterSecrets.push([name, needed.map((material) => material.name)]);
      }
      if (spec.form !== "HomeFirst") endpoints.push([name, this.#endpoints.of(spec)]);
    }
    const lists = [
      listeners,
      sortedEntries(tables),
      clusters,
      endpoints,
      sortedEntries(gateways),
      sortedEntries(secrets),
    ] as const;
    // What a list holds says its names.
    const dependencies = lists.flatMap((list) => [list.length, ...list.map(([, item]) => item)]);
    return this.#configs.get(fleet, dependencies, () => ({
      listeners: new Map(lists[0]),
      routes: new Map(lists[1]),
      clusters: new Map(lists[2]),
      endpoints: new Map(lists[3]),
      tables: new Map(sortedEntries(ports).map(([name, port]) => [name, routeTablesOf(port)])),
      secrets: new Map(lists[5]),
      clusterSecrets: new Map(clusterSecrets),
      gateways: new Map(lists[4]),
    }));
  }
}

/** The ingress Gateways of a pool, as far as their listeners are of one way. */
interface IngressPart {
  readonly ingress: readonly LoadedGateway[];
  readonly way: "Http" | "Https";
}
