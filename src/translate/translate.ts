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
import type { ObjectMeta } from "../model/kube-object.ts";
import { routeKinds } from "../model/kinds.ts";
import type { ObjectTypes, RouteKind } from "../model/kinds.ts";
import { areSame, KeyedMemo, MapMemo } from "../model/memo.ts";
import { egressPool, ingressPool } from "../model/names.ts";
import { compare, sortedEntries } from "../model/order.ts";
import type { Problem } from "../model/problem.ts";
import type { World } from "../model/world.ts";
import { reasons } from "../api/conditions.ts";
import { attach } from "./attach.ts";
import type { Attachment, AttachTarget, ParentOutcome } from "./attach.ts";
import { createBackends } from "./backends.ts";
import type { ClusterSpec, ResolveBackend } from "./backends.ts";
import { Certificates } from "./certificates.ts";
import { Fleets } from "./fleets.ts";
import type { HostedAt, LoadedGateway, RouteAtGateway } from "./loaded-gateway.ts";
import type { Route } from "./gateway-api.ts";
import { GatewaysTls } from "./gateway-tls.ts";
import type { GatewayTls } from "./gateway-tls.ts";
import { lostListeners } from "./hostname-claims.ts";
import { judgeListeners } from "./listeners.ts";
import type { JudgedListener } from "./listeners.ts";
import { readGrpcRoute, readHttpRoute } from "./read-route.ts";
import type { ReadRoute } from "./read-route.ts";
import { translateRoute } from "./routes.ts";
import type { Place, TranslatedRoute } from "./routes.ts";
import { createTlsRoutes } from "./tls-routes.ts";
import type { TlsRouteAtGateway } from "./tls-routes.ts";
import { gatewayVerdict, routeVerdicts } from "./verdicts.ts";
import type { CountedListener } from "./verdicts.ts";

/** A route, read, with its translations by place; lives until the object's content changes. */
interface RouteUnit {
  readonly content: readonly unknown[];
  readonly read: ReadRoute;
  readonly translations: Map<string, { readonly resolved: Resolved; readonly translated: TranslatedRoute }>;
}

/** Where the references of a route lead, in its order. */
type Resolved = readonly (ClusterSpec | Problem)[];

/** All that one pass finds out about a route. */
interface RouteStep {
  readonly unit: RouteUnit;
  readonly resolved: Resolved;
  readonly judged: readonly JudgedRoute[];
  readonly verdicts: readonly RouteVerdict[];
}

/** A route at one Gateway, and what is to be said of it there. */
interface JudgedRoute extends RouteAtGateway {
  readonly parents: readonly ParentOutcome[];
  /** Whether there is nothing wrong with it, or some of its rules can be carried out all the same. */
  readonly isAccepted: boolean;
  /** Key of the Gateway. */
  readonly gateway: string;
  readonly target: AttachTarget;
  readonly namespace: Namespace | undefined;
  readonly resolved: Resolved;
  readonly verdicts: readonly RouteVerdict[];
}

type Namespace = ObjectTypes["Namespace"];

/** Makes a translator that remembers its last pass. */
export function createTranslate(): (world: World, desired: Desired) => Translation {
  const fleets = new Fleets();
  const startBackends = createBackends();
  const targets = new KeyedMemo<AttachTarget>();
  const sameTargets = new MapMemo<AttachTarget>();
  const steps = { HTTPRoute: new KeyedMemo<RouteStep>(), GRPCRoute: new KeyedMemo<RouteStep>() };
  const rejected = new KeyedMemo<JudgedRoute>();
  const verdictLists = new KeyedMemo<readonly RouteVerdict[]>();
  const gatewayVerdicts = new KeyedMemo<GatewayVerdict>();
  const sameRoutes = new KeyedMemo<readonly JudgedRoute[]>();
  const counts = new KeyedMemo<readonly CountedListener[]>();
  const certificates = new Certificates();
  const gatewaysTls = new GatewaysTls(certificates);
  const sameStreams = new KeyedMemo<readonly TlsRouteAtGateway[]>();
  const findTlsRoutes = createTlsRoutes();

  /** The Gateways of a World, with no routes yet. */
  const openGateways = (desired: Desired): ReadonlyMap<string, OpenGateway> => {
    const open = desired.gateways.map((served): [string, OpenGateway] => {
      const key = keyOf(served.gateway.metadata);
      const tls = gatewaysTls.of(served);
      const dependencies = [...contentOf(served.gateway), served.pooled, served.refusal?.message, tls];
      const target = targets.get(key, dependencies, () => ({
        served,
        listeners: judgeListeners(served, tls),
      }));
      return [key, { served, target, tls, routes: [] }];
    });
    return new Map(open);
  };

  return (world, desired) => {
    for (const memo of [
      ...[targets, ...Object.values(steps), rejected, verdictLists],
      ...[gatewayVerdicts, sameRoutes, sameStreams, counts],
    ])
      memo.endPass();
    certificates.startPass(world, desired);
    gatewaysTls.startPass();
    fleets.startPass(world, desired);
    const resolve = startBackends(world, desired);
    const gateways = openGateways(desired);

    const known = sameTargets.same(new Map([...gateways].map(([key, { target }]) => [key, target])));

    const verdicts = {
      HTTPRoute: new Map<string, readonly RouteVerdict[]>(),
      GRPCRoute: new Map<string, readonly RouteVerdict[]>(),
    };
    const routes = { HTTPRoute: desired.httpRoutes, GRPCRoute: desired.grpcRoutes };
    for (const kind of routeKinds) {
      for (const [key, route] of sortedEntries<Route>(routes[kind])) {
        const namespace = world.home.Namespace.get(route.metadata.namespace ?? "");
        const dependencies = [...contentOf(route), resolve, known, namespace];
        const step = steps[kind].get(key, dependencies, (previous) =>
          stepOf({ kind, key, route, namespace, resolve, targets: known }, previous),
        );
        for (const atGateway of step.judged) gateways.get(atGateway.gateway)?.routes.push(atGateway);
        if (step.judged.length > 0) verdicts[kind].set(key, step.verdicts);
      }
    }
    for (const [key, gateway] of gateways) {
      for (const [route, listeners] of lostListeners(gateway.routes)) {
        const name = `${key} ${route.kind} ${route.key}`;
        const without = rejected.get(name, [route, ...listeners], () => withoutListeners(route, listeners));
        gateway.routes[gateway.routes.indexOf(route)] = without;
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

    const tlsRoutes = findTlsRoutes({ world, resolve, targets: known });
    // The shared pools are there even with nothing to do: an Envoy that gets no answer never becomes ready.
    const byFleet = new Map<FleetName, LoadedGateway[]>([
      [ingressPool, []],
      [egressPool, []],
    ]);
    const verdictsByGateway = new Map<string, GatewayVerdict>();
    for (const [key, { served, target, tls, routes: found }] of sortedEntries(gateways)) {
      const { listeners } = target;
      // The same list while it holds the same: what follows from all routes of a Gateway is then remembered as a whole.
      const routes = sameRoutes.get(key, found, () => found);
      const foundStreams = tlsRoutes.byGateway.get(key) ?? [];
      const streams = sameStreams.get(key, foundStreams, () => foundStreams);
      const loaded = { served, listeners, routes, streams, tls };
      const fleet = byFleet.get(served.fleet);
      if (fleet === undefined) byFleet.set(served.fleet, [loaded]);
      else fleet.push(loaded);
      const counted = counts.get(key, [listeners, routes, streams], () =>
        countRoutes(listeners, [...routes.filter(({ isAccepted }) => isAccepted), ...streams]),
      );
      const dependencies = [
        listeners,
        tls,
        served.refusal?.message,
        ...counted.map(({ attachedRoutes }) => attachedRoutes),
      ];
      verdictsByGateway.set(
        key,
        gatewayVerdicts.get(key, dependencies, () => gatewayVerdict(served, counted, tls)),
      );
    }
    const configs = [...byFleet]
      .sort(([a], [b]) => compare(a, b))
      .map(([name, loaded]): [FleetName, FleetConfig] => [name, fleets.of(name, loaded)]);
    return {
      config: { fleets: new Map(configs) },
      verdicts: {
        gateways: verdictsByGateway,
        httpRoutes: verdicts.HTTPRoute,
        grpcRoutes: verdicts.GRPCRoute,
        tlsRoutes: tlsRoutes.verdicts,
      },
    };
  };
}

/** A Gateway while its routes are being found. */
interface OpenGateway {
  readonly served: ServedGateway;
  readonly target: AttachTarget;
  readonly tls: GatewayTls;
  readonly routes: JudgedRoute[];
}

/**
 * What says whether an object's spec is the same: the API server counts every change of it, and none of a status. What
 * doesn't stand yet is the same object while it is the same.
 */
function contentOf(object: { readonly metadata: ObjectMeta }): readonly [unknown, unknown] {
  const { uid, generation } = object.metadata;
  return uid === undefined || generation === undefined ? [object, undefined] : [uid, generation];
}

/** What a route's step follows from. */
interface StepInput {
  readonly kind: RouteKind;
  /** Of the route. */
  readonly key: string;
  readonly route: Route;
  readonly namespace: Namespace | undefined;
  readonly resolve: ResolveBackend;
  /** By the keys of Gateways. */
  readonly targets: ReadonlyMap<string, AttachTarget>;
}

/** A route in one pass; every part that is as it was before is the same object. */
function stepOf(input: StepInput, previous: RouteStep | undefined): RouteStep {
  const { route, resolve, targets } = input;
  const content = contentOf(route);
  const unit =
    previous !== undefined && areSame(previous.unit.content, content)
      ? previous.unit
      : { content, read: readOf(input), translations: new Map() };
  const found = unit.read.queries.map(resolve);
  const resolved = previous?.unit === unit && areSame(previous.resolved, found) ? previous.resolved : found;
  const judged = unit.read.gateways.flatMap((gateway): JudgedRoute[] => {
    const target = targets.get(gateway);
    if (target === undefined) return [];
    const known = previous?.judged.find((one) => one.gateway === gateway);
    const isSame =
      known?.target === target && known.resolved === resolved && known.namespace === input.namespace;
    return [isSame ? known : judge(unit, resolved, { ...input, gateway, target })];
  });
  const [only] = judged;
  const verdicts =
    judged.length === 1 && only !== undefined ? only.verdicts : judged.flatMap((one) => one.verdicts);
  return { unit, resolved, judged, verdicts };
}

function readOf({ kind, route }: Pick<StepInput, "kind" | "route">): ReadRoute {
  // The kind says which of the two it is; the objects themselves don't have to.
  return kind === "HTTPRoute"
    ? readHttpRoute(route as ObjectTypes["HTTPRoute"])
    : readGrpcRoute(route as ObjectTypes["GRPCRoute"]);
}

function judge(
  unit: RouteUnit,
  resolved: Resolved,
  { key, gateway, target, namespace }: Pick<JudgedRoute, "key" | "gateway" | "target" | "namespace">,
): JudgedRoute {
  const { kind, route } = unit.read;
  const { parents, attachments } = attach(unit.read, target, namespace);
  const translate = translator(unit, resolved);
  const translated = translate({ listenerPort: target.listeners[0]?.listener.port ?? 0 });
  const hosted = attachments.map(({ listener, hostnames }): HostedAt => {
    const place = { listenerPort: listener.listener.port, isHttps: listener.way === "Https" };
    return { listener, route: { id: `${kind}/${key}`, translated: translate(place), hostnames } };
  });
  const verdicts = routeVerdicts(parents, translated);
  const isAccepted = translated.isUsable || translated.problems.length === 0;
  const found = { kind, route, parents, attachments, hosted, translate, isAccepted, verdicts };
  return { key, gateway, target, namespace, resolved, ...found };
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

/** Translates a route for a place, or gives what was made of the same answers before. */
function translator(
  { read, translations }: RouteUnit,
  resolved: Resolved,
): (place: Place) => TranslatedRoute {
  return (place) => {
    // Only redirects depend on the listener's port: all other routes are the same at every listener.
    const listenerPort = read.hasRedirect ? place.listenerPort : 0;
    const isHttps = read.hasRedirect && place.isHttps === true;
    const key = `${listenerPort} ${isHttps ? "https " : ""}${place.hasCrossed ? "crossed " : ""}${place.arrivalPorts?.join(",") ?? ""}`;
    const known = translations.get(key);
    if (known !== undefined && areSame(known.resolved, resolved)) return known.translated;
    const answers = new Map(read.queries.map((query, index) => [query, resolved[index]]));
    const translated = translateRoute(read, answers, { ...place, listenerPort, isHttps });
    translations.set(key, { resolved, translated });
    return translated;
  };
}

function countRoutes(
  listeners: readonly JudgedListener[],
  routes: readonly { readonly attachments: readonly Attachment[] }[],
): readonly CountedListener[] {
  const counts = new Map<JudgedListener, number>();
  for (const { attachments } of routes) {
    for (const { listener } of attachments) counts.set(listener, (counts.get(listener) ?? 0) + 1);
  }
  return listeners.map((judged) => ({ judged, attachedRoutes: counts.get(judged) ?? 0 }));
}
