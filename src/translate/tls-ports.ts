/**
 * A port at which TLS arrives → its filter chains. The name that a client asks for (SNI) chooses the most specific listener
 * that has it, and there the most specific route; a name of a listener that can't be served never falls to a wider one.
 *
 *     HTTPS listener           one chain, with a route table of its own
 *     TLS listener             a chain for the names of each TLSRoute
 *     listener without either  closed
 *
 * Source: Gateway API, "Listeners that are distinct only by Hostname", TLSRouteSpec.hostnames.
 */
import { compare } from "../model/order.ts";
import { chainTls } from "./envoy-listeners.ts";
import type { Chain, ChainTls } from "./envoy-listeners.ts";
import { anyHost, wildcardsAbove } from "./hosts.ts";
import { isServed } from "./judged-listener.ts";
import type { JudgedListener } from "./judged-listener.ts";
import type { StreamAt } from "./stream-routes.ts";

/** The route table of an HTTPS listener. */
interface ListenerTable {
  readonly name: string;
  readonly listener: JudgedListener;
  /** Hostnames of the port's other listeners: requests for these came over the wrong connection. */
  readonly elsewhere: readonly string[];
}

export interface TlsPort {
  readonly chains: readonly Chain[];
  readonly tables: readonly ListenerTable[];
}

/** Whether TLS arrives at a listener. */
export const isTls = ({ way }: JudgedListener): boolean =>
  way !== undefined && way !== "Http" && way !== "Tcp";

/** All listeners of one port of a Gateway, those that can't be served too. */
export function tlsPort(
  name: string,
  listeners: readonly JudgedListener[],
  streams: readonly StreamAt[],
): TlsPort {
  const hostnames = new Set(listeners.map(({ hostname }) => hostname));
  const tables: ListenerTable[] = [];
  /** By the name that is asked for; `*` for all that nobody has. */
  const uses = new Map<string, Chain>();
  const put = (hostname: string, chain: Chain): void => {
    if (!uses.has(hostname)) uses.set(hostname, chain);
  };
  for (const listener of listeners) {
    const { hostname } = listener;
    const chainName = `${name}/${nameInPort(listener)}`;
    if (!isServed(listener)) {
      put(hostname, { name: chainName, use: "Nothing" });
      continue;
    }
    const tls = tlsOf(listener);
    if (listener.way === "Https") {
      const elsewhere = [...hostnames].filter((other) => other !== hostname).sort(compare);
      tables.push({ name: chainName, listener, elsewhere });
      put(hostname, { name: chainName, use: "Http", routeTable: chainName, ...tls });
      continue;
    }
    for (const stream of streams) {
      if (stream.listener !== listener) continue;
      for (const asked of stream.hostnames) {
        // A more specific listener has the name, whatever its routes are.
        if (ownerOf(asked, hostnames) !== hostname) continue;
        const { key, open } = stream.shares;
        const use =
          open.length === 0 ? { use: "Nothing" as const } : { use: "Stream" as const, shares: open, ...tls };
        put(asked, { name: `${chainName}/${key}`, ...use });
      }
    }
    put(hostname, { name: chainName, use: "Nothing" });
  }
  return { chains: chainsOf(uses), tables };
}

/** A listener's name is its owner's alone: a ListenerSet may have one that the Gateway, or another set, has too. */
function nameInPort({ listener, owner }: JudgedListener): string {
  const [kind, key = ""] = owner.split(" ");
  return kind === "Gateway" ? listener.name : `ListenerSet/${key}/${listener.name}`;
}

/** One chain for all names with the same use, in the order of their names. */
function chainsOf(uses: ReadonlyMap<string, Chain>): Chain[] {
  const grouped = Map.groupBy(uses, ([, chain]) => chain.name);
  return [...grouped.values()]
    .flatMap((group) => {
      // Envoy has no name for every name: that is a chain without any.
      const [first] = group;
      const names = group.map(([hostname]) => hostname).sort(compare);
      if (first === undefined) return [];
      const rest = names.filter((hostname) => hostname !== anyHost);
      const [, chain] = first;
      const chains: Chain[] = rest.length === 0 ? [] : [{ ...chain, serverNames: rest }];
      if (names.includes(anyHost)) chains.push({ ...chain, name: `${chain.name}/*`, serverNames: [] });
      return chains;
    })
    .sort((a, b) => compare(a.name, b.name));
}

/** The hostname of the most specific listener for a name. */
function ownerOf(hostname: string, hostnames: ReadonlySet<string>): string | undefined {
  return [hostname, ...wildcardsAbove(hostname)].find((name) => hostnames.has(name));
}

function tlsOf({ tls }: JudgedListener): { readonly tls?: ChainTls } {
  return tls === undefined ? {} : { tls: chainTls(tls) };
}
