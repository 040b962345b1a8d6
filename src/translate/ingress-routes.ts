/** The routes of an ingress Gateway in the table that its pool shares. */
import type { JudgedListener } from "./judged-listener.ts";
import type { RouteAtGateway } from "./loaded-gateway.ts";
import type { Place } from "./routes.ts";
import type { HostedRoute } from "./virtual-hosts.ts";

/** A route in a shared table: once for each set of hostnames, limited to ports unless it holds on all of the table's. */
export function ingressRoutes(
  route: RouteAtGateway,
  {
    isOfPart,
    portsOf,
    ports: tablePorts,
  }: {
    readonly isOfPart: (listener: JudgedListener) => boolean;
    readonly portsOf: (listener: JudgedListener) => readonly number[];
    readonly ports: number;
  },
): HostedRoute[] {
  const open = route.attachments.filter(({ listener }) => isOfPart(listener));
  const byHostnames = Map.groupBy(open, ({ hostnames }) => hostnames.join(" "));
  return [...byHostnames.values()].flatMap((attachments): HostedRoute[] => {
    const [first] = attachments;
    if (first === undefined) return [];
    const ports = attachments.flatMap(({ listener }) => portsOf(listener)).sort((a, b) => a - b);
    const place: Place = {
      listenerPort: first.listener.listener.port,
      hasCrossed: true,
      ...(ports.length < tablePorts ? { arrivalPorts: ports } : {}),
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
