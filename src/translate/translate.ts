/**
 * Gateway API objects → what Envoys are served, and what is to be said of the objects.
 *
 *     World, Desired → listeners, attachments, routes → EnvoyConfig + Verdicts
 *
 * Pure: the answer depends on the arguments alone. Remembers by route and by Gateway, so that one change among a
 * thousand routes makes one new virtual host.
 */
import type { Desired, FleetName, ServedGateway } from "../model/desired.ts";
import type {
  EnvoyConfig,
  FleetConfig,
  GatewayVerdict,
  ListenerSetVerdict,
  Translation,
} from "../model/envoy-config.ts";
import { keyOf } from "../model/kube-object.ts";
import { KeyedMemo, MapMemo } from "../model/memo.ts";
import { egressPool, ingressPool } from "../model/names.ts";
import { compare, sortedEntries } from "../model/order.ts";
import type { World } from "../model/world.ts";
import type { Attachment, AttachTarget } from "./attach.ts";
import { createBackendPolicies } from "./backend-tls.ts";
import { createBackends } from "./backends.ts";
import type { BackendQuery } from "./backends.ts";
import { createCarry } from "./carried-routes.ts";
import type { CarriedRoutes } from "./carried-routes.ts";
import { Certificates } from "./certificates.ts";
import { Fleets } from "./fleets.ts";
import { GatewaysTls } from "./gateway-tls.ts";
import type { GatewayTls } from "./gateway-tls.ts";
import { GatewayTrust } from "./gateway-trust.ts";
import { judgeListeners } from "./listeners.ts";
import type { JudgedListener } from "./judged-listener.ts";
import type { LoadedGateway } from "./loaded-gateway.ts";
import { parentKey, parentKeysOf } from "./parents.ts";
import type { ParentKey } from "./parents.ts";
import { createPolicyVerdicts } from "./policy-verdicts.ts";
import { contentOf, RouteSteps } from "./route-steps.ts";
import type { JudgedRoute } from "./route-steps.ts";
import { createStreamRoutes } from "./stream-routes.ts";
import type { StreamRouteAtGateway } from "./stream-routes.ts";
import { gatewayVerdict, listenerSetVerdict } from "./verdicts.ts";
import type { CountedListener } from "./verdicts.ts";

/** Makes a translator that remembers its last pass. */
export function createTranslate(): (world: World, desired: Desired) => Translation {
  const trust = new GatewayTrust();
  const fleets = new Fleets(trust);
  const startBackends = createBackends();
  const targets = new KeyedMemo<AttachTarget>();
  const sameTargets = new MapMemo<AttachTarget>();
  const steps = { HTTPRoute: new RouteSteps("HTTPRoute"), GRPCRoute: new RouteSteps("GRPCRoute") };
  const carry = createCarry();
  const carrying = new KeyedMemo<CarriedRoutes>();
  const gatewayVerdicts = new KeyedMemo<GatewayVerdict>();
  const setVerdicts = new KeyedMemo<ListenerSetVerdict>();
  const counts = new KeyedMemo<readonly CountedListener[]>();
  const certificates = new Certificates();
  const judgePolicyVerdicts = createPolicyVerdicts();
  const judgePolicies = createBackendPolicies(certificates);
  const gatewaysTls = new GatewaysTls(certificates, trust);
  const sameStreams = new KeyedMemo<readonly StreamRouteAtGateway[]>();
  const findTcpRoutes = createStreamRoutes("TCPRoute");
  const findTlsRoutes = createStreamRoutes("TLSRoute");
  const sameFleets = new MapMemo<FleetConfig>();
  const configOf = new KeyedMemo<EnvoyConfig>();

  /** The Gateways of a World, with no routes yet. */
  const openGateways = (desired: Desired): ReadonlyMap<string, OpenGateway> => {
    const open = desired.gateways.map((served): [string, OpenGateway] => {
      const key = keyOf(served.gateway.metadata);
      const tls = gatewaysTls.of(served);
      const { gateway, pooled, refusal, listenerSets = [] } = served;
      const sets = listenerSets.flatMap(({ set, isAllowed }) => [...contentOf(set), isAllowed]);
      const content = [...contentOf(gateway), pooled, refusal?.message, tls, ...sets];
      const target = targets.get(key, content, () => ({ served, listeners: judgeListeners(served, tls) }));
      return [key, { served, target, tls }];
    });
    return new Map(open);
  };

  return (world, desired) => {
    for (const memo of [targets, carrying, gatewayVerdicts, setVerdicts, sameStreams, counts, configOf])
      memo.endPass();
    certificates.startPass(world, desired);
    trust.startPass(world, desired);
    gatewaysTls.startPass();
    fleets.startPass(world, desired);
    const policies = judgePolicies(world);
    const resolve = startBackends(world, desired, policies);
    const gateways = openGateways(desired);

    const known = sameTargets.same(
      new Map(
        [...gateways.values()].flatMap(({ served, target }) =>
          parentKeysOf(served).map((parent) => [parent, target] as const),
        ),
      ),
    );

    const around = { resolve, targets: known, namespaces: world.home.Namespace };
    const lists = {
      HTTPRoute: steps.HTTPRoute.of(desired.httpRoutes, around),
      GRPCRoute: steps.GRPCRoute.of(desired.grpcRoutes, around),
    };
    const { routesAt, verdicts } = carrying.get("", [lists.HTTPRoute, lists.GRPCRoute], () => carry(lists));

    const tcpRoutes = findTcpRoutes({ ...around, routes: desired.tcpRoutes });
    const tlsRoutes = findTlsRoutes({ ...around, routes: world.home.TLSRoute });
    // The shared pools are there even with nothing to do: an Envoy that gets no answer never becomes ready.
    const byFleet = new Map<FleetName, LoadedGateway[]>([
      [ingressPool, []],
      [egressPool, []],
    ]);
    const verdictsByGateway = new Map<string, GatewayVerdict>();
    const listenerSets = new Map<string, ListenerSetVerdict>();
    for (const [key, { served, target, tls }] of sortedEntries(gateways)) {
      const { listeners } = target;
      const routes = routesAt.get(key) ?? noRoutes;
      const foundStreams = [tcpRoutes, tlsRoutes].flatMap(({ byGateway }) => byGateway.get(key) ?? []);
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
      const ownedBy = (owner: ParentKey): readonly CountedListener[] =>
        counted.filter(({ judged }) => judged.owner === owner);
      const { listenerSets: sets = [] } = served;
      let attached = 0;
      for (const one of sets) {
        const setKey = keyOf(one.set.metadata);
        const make = (): ListenerSetVerdict =>
          listenerSetVerdict(one, served, ownedBy(parentKey("ListenerSet", setKey)));
        const all = [key, ...contentOf(one.set), one.isAllowed, ...dependencies];
        const verdict = setVerdicts.get(setKey, all, make);
        listenerSets.set(setKey, verdict);
        if (verdict.accepted.status === "True") attached++;
      }
      verdictsByGateway.set(
        key,
        gatewayVerdicts.get(key, [...dependencies, sets.length, attached], () =>
          gatewayVerdict(served, ownedBy(parentKey("Gateway", key)), {
            tls,
            attachedListenerSets: sets.length === 0 ? undefined : attached,
          }),
        ),
      );
    }
    const configs = [...byFleet]
      .sort(([a], [b]) => compare(a, b))
      .map(([name, loaded]): [FleetName, FleetConfig] => [name, fleets.of(name, loaded)]);
    const fleetConfigs = sameFleets.same(new Map(configs));
    return {
      config: configOf.get("", [fleetConfigs, desired.sendsTo], () => ({
        fleets: fleetConfigs,
        sendsTo: desired.sendsTo,
      })),
      verdicts: {
        gateways: verdictsByGateway,
        listenerSets,
        httpRoutes: verdicts.HTTPRoute,
        grpcRoutes: verdicts.GRPCRoute,
        tcpRoutes: tcpRoutes.verdicts,
        tlsRoutes: tlsRoutes.verdicts,
        backendTlsPolicies: judgePolicyVerdicts(policies, () => namedServices(routesAt, tlsRoutes.byGateway)),
      },
    };
  };
}

/** A Gateway with what routes attach to. */
interface OpenGateway {
  readonly served: ServedGateway;
  readonly target: AttachTarget;
  readonly tls: GatewayTls;
}

const noRoutes: readonly JudgedRoute[] = [];

type Queried = ReadonlyMap<string, readonly { readonly queries: readonly BackendQuery[] }[]>;

/** Which Services the routes of each Gateway name; only asked for where there are policies for Services. */
function namedServices(...lists: readonly Queried[]): ReadonlyMap<string, ReadonlySet<string>> {
  const named = new Map<string, Set<string>>();
  for (const [gateway, routes] of lists.flatMap((list) => [...list])) {
    const names = named.get(gateway) ?? new Set<string>();
    for (const { queries } of routes) for (const { targetKey } of queries) names.add(targetKey);
    named.set(gateway, names);
  }
  return named;
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
