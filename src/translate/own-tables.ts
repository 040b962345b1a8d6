/**
 * A Gateway with Envoys of its own → its ports, route tables and secrets.
 *
 *     port without TLS   one table for all of its listeners
 *     port with TLS      chains by name; a table for each HTTPS listener: what comes over its connections is for its names
 */
import type { VirtualHost } from "../envoy/envoy/config/route/v3/route_components_pb.ts";
import type { Secret } from "../envoy/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts";
import { keyOf } from "../model/kube-object.ts";
import { KeyedMemo } from "../model/memo.ts";
import type { Redacted } from "../model/redacted.ts";
import type { ClusterSpec } from "./backends.ts";
import { plainPort } from "./envoy-listeners.ts";
import type { EnvoyPort } from "./envoy-listeners.ts";
import { anyHost } from "./hosts.ts";
import { isServed } from "./judged-listener.ts";
import type { JudgedListener } from "./judged-listener.ts";
import { collectSpecs, hosted } from "./loaded-gateway.ts";
import type { LoadedGateway } from "./loaded-gateway.ts";
import { isTls, tlsPort } from "./tls-ports.ts";
import { streamsOf } from "./stream-routes.ts";
import { namedSpecs, streamPort } from "./stream-ports.ts";
import { virtualHosts } from "./virtual-hosts.ts";
import type { HostingListener } from "./virtual-hosts.ts";

/** What a Gateway with tables of its own gives its fleet. */
export interface OwnTables {
  readonly ports: readonly EnvoyPort[];
  /** Virtual hosts by table. */
  readonly tables: ReadonlyMap<string, readonly VirtualHost[]>;
  readonly specs: ReadonlyMap<string, ClusterSpec>;
  readonly secrets: ReadonlyMap<string, Redacted<Secret>>;
}

/** Virtual hosts of the last time, by table. */
type Memory = Map<string, KeyedMemo<VirtualHost>>;

export function ownTables(gateway: LoadedGateway, memory: Memory): OwnTables {
  const specs = new Map<string, ClusterSpec>();
  const hostings = new Map<string, readonly HostingListener[]>();
  const ports: EnvoyPort[] = [];
  const byPort = Map.groupBy(gateway.listeners, ({ containerPort }) => containerPort);
  for (const [port, all] of byPort) {
    const open = all.filter(isServed);
    if (open.length === 0) continue;
    const at = {
      name: `gateway/${keyOf(gateway.served.gateway.metadata)}/${port}`,
      port,
      role: "Client" as const,
    };
    const hosting = (listener: JudgedListener): HostingListener => {
      const routes = hosted(gateway.routes, listener);
      collectSpecs(routes, { specs });
      return { hostname: listener.hostname, routes };
    };
    const [tcp] = open.filter(({ way }) => way === "Tcp");
    if (tcp !== undefined) {
      ports.push(streamPort(at, gateway.streams, tcp));
      continue;
    }
    // Names of listeners that clash are nobody's, if no listener came before that has them: they don't fall to a wider one.
    const held = new Set(open.map(({ hostname }) => hostname));
    const clashing = all.filter(({ conflict, hostname }) => conflict && !held.has(hostname));
    if (!open.some(isTls)) {
      ports.push(plainPort(at, at.name));
      hostings.set(at.name, [
        ...open.map(hosting),
        ...clashing.map(({ hostname }) => ({ hostname, routes: [] })),
      ]);
      continue;
    }
    const { chains, tables } = tlsPort(
      at.name,
      [...all.filter(({ conflict }) => !conflict), ...clashing].filter(isTls),
      streamsOf(gateway.streams),
    );
    ports.push({ ...at, chains });
    for (const { name, listener, elsewhere } of tables) {
      const others = listener.hostname === anyHost ? elsewhere : [...new Set([...elsewhere, anyHost])];
      hostings.set(name, [
        hosting(listener),
        ...others.map((hostname) => ({ hostname, routes: [], isElsewhere: true as const })),
      ]);
    }
  }
  for (const spec of namedSpecs(gateway.streams, ports)) specs.set(spec.name, spec);
  const tables = new Map([...hostings].map(([name, hosting]) => [name, hostsOf(name, hosting, memory)]));
  for (const name of memory.keys()) if (!tables.has(name)) memory.delete(name);
  return { ports, tables, specs, secrets: secretsOf(gateway) };
}

function hostsOf(name: string, hosting: readonly HostingListener[], memory: Memory): readonly VirtualHost[] {
  const memo = memory.get(name) ?? new KeyedMemo<VirtualHost>();
  memo.endPass();
  memory.set(name, memo);
  return virtualHosts(hosting, new Set(), (host, dependencies, make) => memo.get(host, dependencies, make));
}

/** What the Gateway's listeners need so that connections can come. */
function secretsOf(gateway: LoadedGateway): Map<string, Redacted<Secret>> {
  const secrets = new Map<string, Redacted<Secret>>();
  for (const { tls } of gateway.listeners.filter(isServed)) {
    for (const { name, secret } of tls?.certificates ?? []) secrets.set(name, secret);
    if (tls?.clients) secrets.set(tls.clients.authorities.name, tls.clients.authorities.secret);
  }
  return secrets;
}
