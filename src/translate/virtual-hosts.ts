/**
 * Routes at listeners → virtual hosts.
 *
 * Listener isolation: a hostname belongs to the most specific listener that has it, and no route of a wider listener
 * answers for it, even if that means 404. Inside of a listener, routes for a more specific hostname come first, then
 * those for wider ones; among equals the rank of the match, then the older route, then its name, then the order in it.
 *
 * Source: Gateway API, Listener.hostname, HTTPRouteSpec.hostnames, HTTPRouteRule.matches; Envoy,
 * config.route.v3.VirtualHost.
 */
import { create } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { RouteSchema, VirtualHostSchema } from "../envoy/envoy/config/route/v3/route_components_pb.ts";
import type { VirtualHost } from "../envoy/envoy/config/route/v3/route_components_pb.ts";
import { byAge, compare } from "../model/order.ts";
import { anyHost, wildcardsAbove } from "./hosts.ts";
import { serverNameHeader } from "./hop-headers.ts";
import { compareRank } from "./matches.ts";
import type { RouteEntry, TranslatedRoute } from "./routes.ts";

/** A route in a table. */
export interface HostedRoute {
  /** One for each {@link TranslatedRoute} in the table. */
  readonly id: string;
  readonly translated: TranslatedRoute;
  /** Names that it answers for, all covered by its listener's hostname. */
  readonly hostnames: readonly string[];
}

/** A listener's part of a table. */
export interface HostingListener {
  readonly hostname: string;
  readonly routes: readonly HostedRoute[];
  /** It has a table of its own: requests for its names, which came over the wrong connection, get 421. */
  readonly isElsewhere?: true;
}

/** Makes a virtual host or gives the one that was made of the same things before; the name is unique in its table. */
export type RememberVirtualHost = (
  name: string,
  dependencies: readonly unknown[],
  make: () => VirtualHost,
) => VirtualHost;

/** Routes of one hostname: the most specific first. */
type Levels = readonly (readonly HostedRoute[])[];

/** The virtual hosts of listeners that share a port; hostnames in `taken` are another's. In the order of their names. */
export function virtualHosts(
  listeners: readonly HostingListener[],
  taken: ReadonlySet<string>,
  remember: RememberVirtualHost,
): readonly VirtualHost[] {
  const byHostname = new Map(listeners.map((listener) => [listener.hostname, listener]));
  const hosts: VirtualHost[] = [];
  const groups = new Map<string, { readonly domains: string[]; readonly levels: Levels }>();
  const add = (domain: string, levels: Levels): void => {
    if (taken.has(domain)) return;
    const [only] = levels;
    const signature =
      levels.length === 1 && only?.length === 1
        ? (only[0]?.id ?? "")
        : levels.map((routes) => routes.map(({ id }) => id).join("\n")).join("\n\n");
    const group = groups.get(signature);
    if (group === undefined) groups.set(signature, { domains: [domain], levels });
    else group.domains.push(domain);
  };
  const misdirected: string[] = [];
  for (const listener of byHostname.values()) {
    if (listener.isElsewhere) {
      misdirected.push(listener.hostname);
      continue;
    }
    const own = ownRoutes(listener, byHostname);
    const wildcards = new Set([...own.keys()].filter((name) => name.startsWith(anyHost)));
    for (const [domain, routes] of own) {
      const [route] = routes;
      // Most routes share their one name with nobody: their virtual host follows from them alone.
      if (route?.hostnames.length === 1 && routes.length === 1 && wildcards.size === 0) {
        if (taken.has(domain)) continue;
        const host = remember(domain, [route.translated], () => virtualHost(domain, [domain], [routes]));
        hosts.push(host);
        continue;
      }
      const wider = wildcards.size === 0 ? [] : wildcardsAbove(domain).filter((name) => wildcards.has(name));
      add(domain, [routes, ...wider.map((name) => own.get(name) ?? [])]);
    }
    // Without this, requests for the listener's names would go to a wider listener.
    if (listeners.length > 1 && listener.hostname !== anyHost && !own.has(listener.hostname))
      add(listener.hostname, []);
  }
  for (const { domains, levels } of groups.values()) {
    domains.sort(compare);
    const dependencies: unknown[] = [domains.join(" ")];
    for (const routes of levels) {
      for (const { translated } of routes) dependencies.push(translated);
      dependencies.push(undefined);
    }
    const name = domains[0] ?? "";
    hosts.push(remember(name, dependencies, () => virtualHost(name, domains, levels)));
  }
  if (misdirected.length > 0) {
    const domains = misdirected.sort(compare);
    const name = `misdirected ${domains[0] ?? ""}`;
    hosts.push(remember(name, [domains.join(" ")], () => misdirectedHost(domains)));
  }
  return hosts.sort((a, b) => compare(a.name, b.name));
}

/** A virtual host for requests over connections that were opened for one name only; others get 421. */
export function onlyOverItsOwn(host: VirtualHost, serverName: string): VirtualHost {
  const value = { matchPattern: { case: "exact" as const, value: serverName } };
  const headers = [
    {
      name: serverNameHeader,
      invertMatch: true,
      headerMatchSpecifier: { case: "stringMatch" as const, value },
    },
  ];
  const action = { case: "directResponse" as const, value: { status: 421 } };
  const guards = [
    { pathSpecifier: { case: "prefix" as const, value: "/" }, headers },
    { pathSpecifier: { case: "connectMatcher" as const, value: {} }, headers },
  ].map((match) => create(RouteSchema, { name: `misdirected ${serverName}`, match, action }));
  return create(VirtualHostSchema, { ...host, routes: [...guards, ...host.routes] });
}

/** A virtual host that lets through only what these filters, by name, are told to let through. */
export function guarded(host: VirtualHost, filters: Readonly<Record<string, Any>>): VirtualHost {
  return create(VirtualHostSchema, { ...host, typedPerFilterConfig: filters });
}

/** RFC 9110, 15.5.20: the client may ask again over a connection of its own. */
function misdirectedHost(domains: readonly string[]): VirtualHost {
  const name = `misdirected ${domains[0] ?? ""}`;
  const match = { pathSpecifier: { case: "prefix" as const, value: "/" } };
  const action = { case: "directResponse" as const, value: { status: 421 } };
  return create(VirtualHostSchema, { name, domains: [...domains], routes: [{ name, match, action }] });
}

/** A listener's routes by hostname, without hostnames that belong to a more specific listener. */
function ownRoutes(
  listener: HostingListener,
  byHostname: ReadonlyMap<string, HostingListener>,
): ReadonlyMap<string, readonly HostedRoute[]> {
  const own = new Map<string, HostedRoute[]>();
  for (const route of listener.routes) {
    for (const hostname of route.hostnames) {
      const isOwner = byHostname.size === 1 || ownerOf(hostname, byHostname) === listener.hostname;
      if (!isOwner) continue;
      const routes = own.get(hostname);
      if (routes === undefined) own.set(hostname, [route]);
      else routes.push(route);
    }
  }
  return own;
}

/** The hostname of the most specific listener for a name. */
function ownerOf(hostname: string, byHostname: ReadonlyMap<string, HostingListener>): string | undefined {
  return [hostname, ...wildcardsAbove(hostname)].find((name) => byHostname.has(name));
}

function virtualHost(name: string, domains: readonly string[], levels: Levels): VirtualHost {
  const routes = levels.flatMap((level) => orderedEntries(level).flatMap((entry) => entry.routes));
  return create(VirtualHostSchema, { name, domains: [...domains], routes });
}

function orderedEntries(routes: readonly HostedRoute[]): readonly RouteEntry[] {
  return routes
    .flatMap(({ translated }) =>
      translated.entries.map((entry, index) => ({ entry, index, route: translated.route })),
    )
    .sort((a, b) => compareRank(a.entry.rank, b.entry.rank) || byAge(a.route, b.route) || a.index - b.index)
    .map(({ entry }) => entry);
}
