/**
 * HTTPRoutes and GRPCRoutes at one listener have no hostname in common: the older route has it, and the other one does not
 * attach there. A hostname belongs to one kind of route, so that rules of two kinds never have to be ordered.
 *
 * Source: Gateway API, GRPCRouteSpec.hostnames.
 */
import type { RouteKind } from "../model/kinds.ts";
import { byAge } from "../model/order.ts";
import { intersections } from "./hosts.ts";
import type { RouteAtGateway } from "./loaded-gateway.ts";
import type { JudgedListener } from "./judged-listener.ts";

/** Routes of one Gateway that don't have the hostnames which they ask for, with the listeners where that is so. */
export function lostListeners<R extends RouteAtGateway>(
  routes: readonly R[],
): ReadonlyMap<R, readonly JudgedListener[]> {
  const lost = new Map<R, JudgedListener[]>();
  // Almost always there is nothing to decide.
  if (routes.every(({ kind }) => kind === routes[0]?.kind)) return lost;
  /** Hostnames that routes of each kind have: only those of the other kind are looked at. */
  const byListener = new Map<JudgedListener, Record<RouteKind, (readonly string[])[]>>();
  for (const route of routes.toSorted((a, b) => byAge(a.route, b.route))) {
    for (const { listener, hostnames } of route.attachments) {
      const held = byListener.get(listener) ?? { HTTPRoute: [], GRPCRoute: [] };
      byListener.set(listener, held);
      const others = held[route.kind === "HTTPRoute" ? "GRPCRoute" : "HTTPRoute"];
      const isLost = others.some((other) => intersections(other, hostnames).length > 0);
      if (isLost) lost.set(route, [...(lost.get(route) ?? []), listener]);
      else held[route.kind].push(hostnames);
    }
  }
  return lost;
}
