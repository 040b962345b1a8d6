/** Which dummies routes name: where only these get slices. */
import type { ObjectTypes, RouteKind } from "../model/kinds.ts";
import { dummyNamespace } from "../model/names.ts";
import type { World } from "../model/world.ts";
import type { ImportSide } from "./import-side.ts";
import { isOurs } from "./owners.ts";

/** Names of dummies that some route names, a user's or ours. */
export function namedDummies(world: World, sides: ReadonlyMap<string, ImportSide>): ReadonlySet<string> {
  const named = new Set<string>();
  const look = (route: ObjectTypes[RouteKind | "TCPRoute"]): void => {
    for (const { backendRefs = [] } of route.spec.rules ?? []) {
      for (const { name, namespace } of backendRefs) if (namespace === dummyNamespace) named.add(name);
    }
  };
  for (const { routes, tcpRoutes = [] } of sides.values()) {
    routes.forEach(look);
    tcpRoutes.forEach(look);
  }
  for (const route of world.home.HTTPRoute.values()) if (!isOurs(route)) look(route);
  for (const route of world.home.GRPCRoute.values()) look(route);
  for (const route of world.home.TCPRoute.values()) if (!isOurs(route)) look(route);
  return named;
}
