/** A Gateway with its listeners, judged, and all that attached to them: what fleets are put together from. */
import type { ServedGateway } from "../model/desired.ts";
import type { RouteKind } from "../model/kinds.ts";
import type { Attachment } from "./attach.ts";
import type { ClusterSpec } from "./backends.ts";
import { withParts } from "./clusters.ts";
import type { Route } from "./gateway-api.ts";
import type { GatewayTls } from "./gateway-tls.ts";
import type { JudgedListener } from "./judged-listener.ts";
import type { Place, TranslatedRoute } from "./routes.ts";
import type { StreamRouteAtGateway } from "./stream-routes.ts";
import type { HostedRoute } from "./virtual-hosts.ts";

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
  /** Its TCPRoutes and TLSRoutes, each in the order of precedence. */
  readonly streams: readonly StreamRouteAtGateway[];
  readonly tls: GatewayTls;
}

/** Routes at one listener of a Gateway with a table of its own for the port. */
export function hosted(routes: readonly RouteAtGateway[], listener: JudgedListener): readonly HostedRoute[] {
  const found: HostedRoute[] = [];
  for (const { hosted: all } of routes) {
    for (const { listener: at, route } of all) if (at === listener) found.push(route);
  }
  return found;
}

/** Adds the clusters that routes name, with those that these are made of. */
export function collectSpecs(
  routes: readonly HostedRoute[],
  { specs }: { readonly specs: Map<string, ClusterSpec> },
): void {
  for (const { translated } of routes) {
    for (const spec of translated.clusters) for (const part of withParts(spec)) specs.set(part.name, part);
  }
}
