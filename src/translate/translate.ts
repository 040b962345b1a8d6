/**
 * Gateway API objects → what Envoys are served, and what is to be said of the objects.
 *
 *     World, Desired → listeners, attachments, routes → EnvoyConfig + Verdicts
 *
 * Pure: the answer depends on the arguments alone. Remembers by route and by Gateway, so that one change among a
 * thousand routes makes one new virtual host.
 */
import type { Desired, FleetName, ServedGateway } from "../model/desired.ts";
import type { FleetConfig, GatewayVerdict, RouteVerdict, Translation } from "../model/envoy-config.ts";
import { keyOf } from "../model/kube-object.ts";
import type { ObjectTypes } from "../model/kinds.ts";
import { areSame, KeyedMemo } from "../model/memo.ts";
import { egressPool, ingressPool } from "../model/names.ts";
import { compare, sortedEntries } from "../model/order.ts";
import type { Problem } from "../model/problem.ts";
import type { World } from "../model/world.ts";
import { attach } from "./attach.ts";
import type { AttachTarget } from "./attach.ts";
import { createBackends } from "./backends.ts";
import type { ClusterSpec } from "./backends.ts";
import { Fleets } from "./fleets.ts";
import type { LoadedGateway, RouteAtGateway } from "./fleets.ts";
import type { HTTPRoute } from "./gateway-api.ts";
import { judgeListeners } from "./listeners.ts";
import type { JudgedListener } from "./listeners.ts";
import { readRoute } from "./read-route.ts";
import type { ReadRoute } from "./read-route.ts";
import { translateRoute } from "./routes.ts";
import type { Place, TranslatedRoute } from "./routes.ts";
import { gatewayVerdict, routeVerdicts } from "./verdicts.ts";
import type { CountedListener } from "./verdicts.ts";

/** An HTTPRoute, read, with its translations by place; lives until the object's content changes. */
interface RouteUnit {
  readonly read: ReadRoute;
  readonly translations: Map<
    number | string,
    { readonly resolved: Resolved; readonly translated: TranslatedRoute }
  >;
}

/** Where the references of a route lead, in its order. */
type Resolved = readonly (ClusterSpec | Problem)[];

/** A route at a Gateway, and what is to be said of it there. */
interface JudgedRoute extends RouteAtGateway {
  readonly verdicts: readonly RouteVerdict[];
}

/** Makes a translator that remembers its last pass. */
export function createTranslate(): (world: World, desired: Desired) => Translation {
  const fleets = new Fleets();
  const startBackends = createBackends();
  const targets = new KeyedMemo<AttachTarget>();
  /** By the keys of Gateways, then of the routes that name them. */
  const judgedRoutes = new KeyedMemo<KeyedMemo<JudgedRoute>>();
  const routeUnits = new KeyedMemo<RouteUnit>();
  const resolutions = new KeyedMemo<Resolved>();
  const gatewayVerdicts = new KeyedMemo<GatewayVerdict>();

  /** The Gateways of a World, with no routes yet. */
  const openGateways = (desired: Desired): ReadonlyMap<string, OpenGateway> => {
    const open = desired.gateways.map((served): [string, OpenGateway] => {
      const key = keyOf(served.gateway.metadata);
      const target = targets.get(key, [served.gateway, served.pooled], () => ({
        served,
        listeners: judgeListeners(served),
      }));
      const judged = judgedRoutes.get(key, [], () => new KeyedMemo());
      judged.endPass();
      return [key, { served, target, judged, routes: [] }];
    });
    return new Map(open);
  };

  return (world, desired) => {
    for (const memo of [targets, judgedRoutes, routeUnits, resolutions, gatewayVerdicts]) memo.endPass();
    fleets.startPass(world, desired);
    const resolve = startBackends(world, desired);
    const gateways = openGateways(desired);

    const httpRoutes = new Map<string, readonly RouteVerdict[]>();
    for (const [key, route] of sortedEntries(desired.httpRoutes)) {
      const unit = routeUnits.get(key, contentOf(route), () => ({
        read: readRoute(route),
        translations: new Map(),
      }));
      const parents = unit.read.gateways.flatMap((gateway) => gateways.get(gateway) ?? []);
      if (parents.length === 0) continue;
      const resolved = resolutions.get(key, [unit, resolve], (previous) => {
        const found = unit.read.queries.map(resolve);
        return previous !== undefined && areSame(previous, found) ? previous : found;
      });
      const namespace = world.home.Namespace.get(route.metadata.namespace ?? "");
      const verdicts = parents.map(({ target, judged, routes }) => {
        const atGateway = judged.get(key, [unit, resolved, target, namespace], () =>
          judgeRoute(unit, resolved, { key, target, namespace }),
        );
        routes.push(atGateway);
        return atGateway.verdicts;
      });
      const [only] = verdicts;
      httpRoutes.set(key, verdicts.length === 1 && only !== undefined ? only : verdicts.flat());
    }

    // The shared pools are there even with nothing to do: an Envoy that gets no answer never becomes ready.
    const byFleet = new Map<FleetName, LoadedGateway[]>([
      [ingressPool, []],
      [egressPool, []],
    ]);
    const verdictsByGateway = new Map<string, GatewayVerdict>();
    for (const [key, { served, target, routes }] of sortedEntries(gateways)) {
      const { listeners } = target;
      const loaded = { served, listeners, routes };
      const fleet = byFleet.get(served.fleet);
      if (fleet === undefined) byFleet.set(served.fleet, [loaded]);
      else fleet.push(loaded);
      const counted = countRoutes(listeners, routes);
      const dependencies = [listeners, ...counted.map(({ attachedRoutes }) => attachedRoutes)];
      verdictsByGateway.set(
        key,
        gatewayVerdicts.get(key, dependencies, () =>
          gatewayVerdict(served.gateway.metadata.generation, counted),
        ),
      );
    }
    const configs = [...byFleet]
      .sort(([a], [b]) => compare(a, b))
      .map(([name, loaded]): [FleetName, FleetConfig] => [name, fleets.of(name, loaded)]);
    return { config: { fleets: new Map(configs) }, verdicts: { gateways: verdictsByGateway, httpRoutes } };
  };
}

/** A Gateway while its routes are being found. */
interface OpenGateway {
  readonly served: ServedGateway;
  readonly target: AttachTarget;
  readonly judged: KeyedMemo<JudgedRoute>;
  readonly routes: RouteAtGateway[];
}

/**
 * What says whether the content of a route is the same: the API server counts every change of a spec, and none of a
 * status. Routes that don't stand yet are the same objects while they are the same.
 */
function contentOf(route: HTTPRoute): readonly unknown[] {
  const { uid, generation } = route.metadata;
  return uid === undefined || generation === undefined ? [route] : [uid, generation];
}

/** A route at one Gateway. */
function judgeRoute(
  unit: RouteUnit,
  resolved: Resolved,
  { key, target, namespace }: RoutePlace,
): JudgedRoute {
  const { parents, attachments } = attach(unit.read.route, target, namespace);
  const translate = translator(unit, resolved);
  const translated = translate({ listenerPort: target.listeners[0]?.listener.port ?? 0 });
  return { key, attachments, translate, verdicts: routeVerdicts(parents, translated) };
}

interface RoutePlace {
  /** Of the route. */
  readonly key: string;
  readonly target: AttachTarget;
  readonly namespace: ObjectTypes["Namespace"] | undefined;
}

/** Translates a route for a place, or gives what was made of the same answers before. */
function translator(
  { read, translations }: RouteUnit,
  resolved: Resolved,
): (place: Place) => TranslatedRoute {
  return (place) => {
    // Only redirects depend on the listener's port: all other routes are the same at every listener.
    const listenerPort = read.hasRedirect ? place.listenerPort : 0;
    const key =
      place.arrivalPorts === undefined ? listenerPort : `${listenerPort} ${place.arrivalPorts.join(",")}`;
    const known = translations.get(key);
    if (known !== undefined && areSame(known.resolved, resolved)) return known.translated;
    const answers = new Map(read.queries.map((query, index) => [query, resolved[index]]));
    const translated = translateRoute(read, answers, { ...place, listenerPort });
    translations.set(key, { resolved, translated });
    return translated;
  };
}

function countRoutes(
  listeners: readonly JudgedListener[],
  routes: readonly RouteAtGateway[],
): readonly CountedListener[] {
  const counts = new Map<JudgedListener, number>();
  for (const { attachments } of routes) {
    for (const { listener } of attachments) counts.set(listener, (counts.get(listener) ?? 0) + 1);
  }
  return listeners.map((judged) => ({ judged, attachedRoutes: counts.get(judged) ?? 0 }));
}
