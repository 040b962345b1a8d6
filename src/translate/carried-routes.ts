/**
 * All routes together: which of them each Gateway carries, once those are left out whose hostname a route of another kind
 * has; and what is to be said of each.
 */
import { reasons } from "../api/conditions.ts";
import type { RouteVerdict } from "../model/envoy-config.ts";
import { routeKinds } from "../model/kinds.ts";
import type { RouteKind } from "../model/kinds.ts";
import { KeyedMemo } from "../model/memo.ts";
import type { Problem } from "../model/problem.ts";
import type { ParentOutcome } from "./attach.ts";
import { lostListeners } from "./hostname-claims.ts";
import type { JudgedListener } from "./judged-listener.ts";
import type { JudgedRoute, KeyedSteps } from "./route-steps.ts";
import { routeVerdicts } from "./verdicts.ts";

type VerdictsByRoute = ReadonlyMap<string, readonly RouteVerdict[]>;

/** What has been found of all routes. */
export interface CarriedRoutes {
  /** By the keys of Gateways, in the order of the routes' keys; the same list while it holds the same. */
  readonly routesAt: ReadonlyMap<string, readonly JudgedRoute[]>;
  readonly verdicts: Readonly<Record<RouteKind, VerdictsByRoute>>;
}

/** Makes what puts routes together; what is as it was the last time is the same object. */
export function createCarry(): (lists: Readonly<Record<RouteKind, KeyedSteps>>) => CarriedRoutes {
  const rejected = new KeyedMemo<JudgedRoute>();
  const verdictLists = new KeyedMemo<readonly RouteVerdict[]>();
  const sameRoutes = new KeyedMemo<readonly JudgedRoute[]>();

  return (lists) => {
    for (const memo of [rejected, verdictLists, sameRoutes]) memo.endPass();
    const found = new Map<string, JudgedRoute[]>();
    const verdicts = {
      HTTPRoute: new Map<string, readonly RouteVerdict[]>(),
      GRPCRoute: new Map<string, readonly RouteVerdict[]>(),
    };
    for (const kind of routeKinds) {
      for (const [key, { judged, verdicts: said }] of lists[kind]) {
        for (const route of judged) {
          const routes = found.get(route.gateway);
          if (routes === undefined) found.set(route.gateway, [route]);
          else routes.push(route);
        }
        if (judged.length > 0) verdicts[kind].set(key, said);
      }
    }
    for (const [key, routes] of found) {
      for (const [route, listeners] of lostListeners(routes)) {
        const name = `${key} ${route.kind} ${route.key}`;
        const without = rejected.get(name, [route, ...listeners], () => withoutListeners(route, listeners));
        routes[routes.indexOf(route)] = without;
        const before = verdicts[route.kind].get(route.key) ?? [];
        const told = verdictLists.get(name, [before, without], () =>
          before.flatMap((verdict) => {
            const index = route.verdicts.indexOf(verdict);
            return index < 0 ? [verdict] : (without.verdicts[index] ?? []);
          }),
        );
        verdicts[route.kind].set(route.key, told);
      }
    }
    const routesAt = [...found].map(
      ([key, routes]) => [key, sameRoutes.get(key, routes, () => routes)] as const,
    );
    return { routesAt: new Map(routesAt), verdicts };
  };
}

/** A route at a Gateway without listeners at which a route of the other kind has its hostnames. */
function withoutListeners(route: JudgedRoute, lost: readonly JudgedListener[]): JudgedRoute {
  const isKept = ({ listener }: { readonly listener: JudgedListener }): boolean => !lost.includes(listener);
  const problem: Problem = {
    reason: reasons.HostnameConflict,
    message: `An older ${route.kind === "HTTPRoute" ? "GRPCRoute" : "HTTPRoute"} has a hostname of this route at the listener: the two kinds can't share one. Give this route another hostname.`,
  };
  const parents = route.parents.map((parent): ParentOutcome => {
    const isLost = parent.listeners.length > 0 && parent.listeners.every((one) => lost.includes(one));
    return isLost ? { ...parent, problem: parent.problem ?? problem } : parent;
  });
  const place = { listenerPort: route.target.listeners[0]?.listener.port ?? 0 };
  return {
    ...route,
    parents,
    attachments: route.attachments.filter(isKept),
    hosted: route.hosted.filter(isKept),
    verdicts: routeVerdicts(parents, route.translate(place)),
  };
}
