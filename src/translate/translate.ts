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
import { KeyedMemo } from "../model/memo.ts";
import { compare, sortedEntries } from "../model/order.ts";
import type { World } from "../model/world.ts";
import { attach, parentGateway } from "./attach.ts";
import type { AttachTarget, Attached } from "./attach.ts";
import { createBackends } from "./backends.ts";
import type { ResolveBackend } from "./backends.ts";
import { Fleets } from "./fleets.ts";
import type { LoadedGateway, RouteAtGateway } from "./fleets.ts";
import type { HTTPRoute } from "./gateway-api.ts";
import { judgeListeners } from "./listeners.ts";
import { readRoute } from "./read-route.ts";
import type { ReadRoute } from "./read-route.ts";
import { translateRoute } from "./routes.ts";
import type { Place, TranslatedRoute } from "./routes.ts";
import { gatewayVerdict, routeVerdicts } from "./verdicts.ts";

/** Makes a translator that remembers its last pass. */
export function createTranslate(): (world: World, desired: Desired) => Translation {
  const fleets = new Fleets();
  const startBackends = createBackends();
  const targets = new KeyedMemo<AttachTarget>();
  const attachments = new KeyedMemo<Attached>();
  const reads = new KeyedMemo<ReadRoute>();
  const translations = new KeyedMemo<TranslatedRoute>();
  const gatewayVerdicts = new KeyedMemo<GatewayVerdict>();
  const verdictsOfRoutes = new KeyedMemo<readonly RouteVerdict[]>();
  const memos = [targets, attachments, reads, translations, gatewayVerdicts, verdictsOfRoutes];

  const translatorOf = (key: string, route: HTTPRoute, resolve: ResolveBackend): ((place: Place) => TranslatedRoute) => {
    const read = reads.get(key, [route], () => readRoute(route));
    const found = read.queries.map((query) => [query, resolve(query)] as const);
    const resolved = found.map(([, spec]) => spec);
    return (place) => {
      // Only redirects depend on the port: all other routes are the same at every listener.
      const listenerPort = read.hasRedirect ? place.listenerPort : 0;
      const needed = { ...place, listenerPort };
      return translations.get(`${key} ${listenerPort} ${place.arrivalPorts?.join(",") ?? ""}`, [read, ...resolved], () =>
        translateRoute(read, new Map(found), needed),
      );
    };
  };

  return (world, desired) => {
    for (const memo of memos) memo.endPass();
    fleets.startPass(world, desired);
    const resolve = startBackends(world, desired);
    const gateways = new Map(
      desired.gateways.map((served) => [keyOf(served.gateway.metadata), { served, routes: [] as RouteAtGateway[] }]),
    );
    const targetOf = (key: string, served: ServedGateway): AttachTarget =>
      targets.get(key, [served.gateway, served.pooled], () => ({ served, listeners: judgeListeners(served) }));

    const httpRoutes = new Map<string, readonly RouteVerdict[]>();
    for (const [key, route] of sortedEntries(desired.httpRoutes)) {
      const named = new Set((route.spec.parentRefs ?? []).map((parentRef) => parentGateway(parentRef, route) ?? ""));
      const parents = [...named].flatMap((gatewayKey) => {
        const gateway = gateways.get(gatewayKey);
        return gateway === undefined ? [] : [{ gatewayKey, gateway, target: targetOf(gatewayKey, gateway.served) }];
      });
      if (parents.length === 0) continue;
      const translate = translatorOf(key, route, resolve);
      const verdicts = parents.map(({ gatewayKey, gateway, target }) => {
        const namespace = world.home.Namespace.get(route.metadata.namespace ?? "");
        const attached = attachments.get(`${key} ${gatewayKey}`, [route, target, namespace], () =>
          attach(route, target, world.home.Namespace),
        );
        gateway.routes.push({ key, attachments: attached.attachments, translate });
        const [first] = target.listeners;
        const translated = translate({ listenerPort: first?.listener.port ?? 0 });
        return verdictsOfRoutes.get(`${key} ${gatewayKey}`, [attached, translated], () => routeVerdicts(attached.parents, translated));
      });
      httpRoutes.set(key, verdicts.flat());
    }

    const byFleet = new Map<FleetName, LoadedGateway[]>();
    const verdictsByGateway = new Map<string, GatewayVerdict>();
    for (const [key, { served, routes }] of sortedEntries(gateways)) {
      const { listeners } = targetOf(key, served);
      const loaded = { served, listeners, routes };
      const fleet = byFleet.get(served.fleet);
      if (fleet === undefined) byFleet.set(served.fleet, [loaded]);
      else fleet.push(loaded);
      const counts = new Map(listeners.map((listener) => [listener, 0]));
      for (const { listener } of routes.flatMap((route) => route.attachments)) counts.set(listener, (counts.get(listener) ?? 0) + 1);
      const counted = listeners.map((judged) => ({ judged, attachedRoutes: counts.get(judged) ?? 0 }));
      const dependencies = [listeners, ...counts.values()];
      verdictsByGateway.set(
        key,
        gatewayVerdicts.get(key, dependencies, () => gatewayVerdict(served.gateway.metadata.generation, counted)),
      );
    }
    const configs = [...byFleet]
      .sort(([a], [b]) => compare(a, b))
      .map(([name, loaded]): [FleetName, FleetConfig] => [name, fleets.of(name, loaded)]);
    return { config: { fleets: new Map(configs) }, verdicts: { gateways: verdictsByGateway, httpRoutes } };
  };
}
