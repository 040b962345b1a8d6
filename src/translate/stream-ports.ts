/**
 * Ports whose connections go on as they are: a TCP listener with its route, and an ingress with the TCP ports of its
 * service.
 *
 * Source: Gateway API, TCPRoute: the oldest route of a listener has its connections.
 */
import type { ClusterSpec, ServiceClusterSpec } from "./backends.ts";
import { withParts } from "./clusters.ts";
import type { EnvoyPort } from "./envoy-listeners.ts";
import type { JudgedListener } from "./judged-listener.ts";
import type { LoadedGateway } from "./loaded-gateway.ts";
import { streamsOf } from "./stream-routes.ts";
import type { StreamRouteAtGateway } from "./stream-routes.ts";
import { streamClusterName } from "./stream-preface.ts";

/** The port of a TCP listener: its first route's connections; closed without one. */
export function streamPort(
  at: Omit<EnvoyPort, "chains">,
  routes: readonly StreamRouteAtGateway[],
  listener: JudgedListener,
): EnvoyPort {
  const { shares } = streamsOf(routes).find((stream) => stream.listener === listener) ?? {};
  const open = shares?.open ?? [];
  const use = open.length === 0 ? { use: "Nothing" as const } : { use: "Stream" as const, shares: open };
  return { ...at, chains: [{ name: at.name, ...use }] };
}

/** Clusters that ports name. Not all that routes do: of two at one place the older has it. */
export function namedSpecs(
  routes: readonly StreamRouteAtGateway[],
  ports: readonly EnvoyPort[],
): readonly ClusterSpec[] {
  const named = new Set(
    ports.flatMap(({ chains }) =>
      chains.flatMap((chain) => (chain.use === "Stream" ? chain.shares.map(({ cluster }) => cluster) : [])),
    ),
  );
  return routes
    .flatMap(({ passed, terminated }) => [...passed.specs, ...terminated.specs])
    .filter(({ name }) => named.has(name))
    .flatMap(withParts);
}

/** Clusters of an ingress Gateway's TCP ports: the Service's ready Pods, whatever they speak. */
export function streamSpecs({ served }: LoadedGateway): readonly ServiceClusterSpec[] {
  const { service, tcp } = served.pooled ?? {};
  if (service === undefined || tcp === undefined) return [];
  return tcp.ports.map((port) => ({
    form: "Service",
    name: streamClusterName({ service, port }),
    service,
    serviceKey: `${service.namespace}/${service.name}`,
    port,
    isHttp2: false,
    listsNotReady: false,
    leavesRetriesToRules: true,
    hasAffinity: tcp.hasAffinity,
  }));
}
