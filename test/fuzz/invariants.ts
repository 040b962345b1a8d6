/**
 * What must hold of every configuration of Envoys (invariant 1 of docs/architecture.md), found out anew from the world's
 * objects: nothing here asks the stages how they decided. Each function gives what is wrong.
 */
import { toJson } from "@bufbuild/protobuf";
import type { JsonValue } from "@bufbuild/protobuf";
import { ClusterSchema } from "../../src/envoy/envoy/config/cluster/v3/cluster_pb.ts";
import { ListenerSchema } from "../../src/envoy/envoy/config/listener/v3/listener_pb.ts";
import { envoyRegistry } from "../../src/envoy/registry.ts";
import { objectKey } from "../../src/model/desired.ts";
import type { PooledGateway, ServiceRef } from "../../src/model/desired.ts";
import type { FleetConfig } from "../../src/model/envoy-config.ts";
import type { ObjectTypes } from "../../src/model/kinds.ts";
import { keyOf } from "../../src/model/kube-object.ts";
import { dummyNamespace, egressPool, ingressPool, labels, routeOfEnvoyRoute } from "../../src/model/names.ts";
import { isHeard } from "../../src/model/world.ts";
import type { Outcome } from "./pass.ts";
import { partsOf, tablesOf, waysOf } from "./ways.ts";
import type { Way } from "./ways.ts";

/** Ways that lead to what is not exported, or to what the route's owner may not name. */
export function forbiddenWays(outcome: Outcome): readonly string[] {
  return [...outcome.translation.config.fleets].flatMap(([name, fleet]) =>
    waysOf(fleet).flatMap((way) => {
      const { clusters } = fleet;
      const cluster = clusters.get(way.cluster);
      const parts = cluster === undefined ? [] : partsOf(cluster);
      return (parts.length > 0 ? parts : [way.cluster])
        .filter((target) => !mayGo({ ...way, cluster: target }, name, outcome))
        .map((target) => `${name}: ${way.route ?? "a connection"} leads to ${target}`);
    }),
  );
}

/**
 * Backends in routes that mc-wan writes for imports and exports, whoever carries them out: dummies of what nobody exports, and
 * Services of other namespaces.
 */
export function forbiddenRefs(outcome: Outcome): readonly string[] {
  const { desired } = outcome;
  return [...desired.objects.values()].flatMap(({ kind, object }) => {
    if (kind !== "HTTPRoute") return [];
    const { metadata, spec } = object as ObjectTypes["HTTPRoute"];
    const refs = (spec.rules ?? []).flatMap(({ backendRefs = [], filters = [] }) => [
      ...backendRefs,
      ...filters.flatMap(({ requestMirror }) => requestMirror?.backendRef ?? []),
    ]);
    return refs
      .filter(({ group = "", kind: of = "Service", namespace = metadata.namespace, name }) => {
        // A kind that nobody has: written so that the rule leads nowhere.
        if (group !== "" || of !== "Service") return false;
        if (namespace !== dummyNamespace) return namespace !== metadata.namespace;
        const dummy = desired.objects.get(objectKey("Service", `${namespace}/${name}`))?.object;
        const labelled = dummy?.metadata.labels ?? {};
        const service = {
          namespace: labelled[labels.serviceNamespace] ?? "",
          name: labelled[labels.serviceName] ?? "",
        };
        return dummy === undefined || !isExported(service, outcome);
      })
      .map(({ namespace = "", name }) => `${keyOf(metadata)} leads to ${namespace}/${name}`);
  });
}

/** Clusters that no way leads to, alone or as part of another. */
export function idleClusters({ translation }: Outcome): readonly string[] {
  return [...translation.config.fleets].flatMap(([name, fleet]) => {
    const named = new Set(waysOf(fleet).map(({ cluster }) => cluster));
    for (const cluster of fleet.clusters.values())
      if (named.has(cluster.name)) for (const part of partsOf(cluster)) named.add(part);
    const ofNone = [...fleet.endpoints.keys()].filter((cluster) => !fleet.clusters.has(cluster));
    return [
      ...[...fleet.clusters.keys()]
        .filter((cluster) => !named.has(cluster))
        .map((cluster) => `${name}: ${cluster}`),
      ...ofNone.map((cluster) => `${name}: endpoints of ${cluster}`),
    ];
  });
}

/** Endpoints that two clusters of a fleet would ask for by one name: Envoy asks once, and the second waits in vain (X4). */
export function sharedEndpoints({ translation }: Outcome): readonly string[] {
  return [...translation.config.fleets].flatMap(([name, { clusters }]) => {
    const asked = [...clusters.values()].flatMap(({ name: cluster, edsClusterConfig }) =>
      edsClusterConfig === undefined ? [] : [edsClusterConfig.serviceName || cluster],
    );
    return asked
      .filter((each, index) => asked.indexOf(each) !== index)
      .map((each) => `${name}: several clusters ask for the endpoints ${each}`);
  });
}

/** Virtual hosts of shared pools that carry, under a service's name, what is not the service's. */
export function strayHosts(outcome: Outcome): readonly string[] {
  const { world, desired, translation } = outcome;
  if (world.settings.dataPlane.name !== "envoy") return [];
  const pooled = desired.gateways.flatMap((served) =>
    served.pooled === undefined ? [] : [{ ...served.pooled, key: keyOf(served.gateway.metadata) }],
  );
  return [ingressPool, egressPool].flatMap((name) => {
    const fleet = translation.config.fleets.get(name);
    if (fleet === undefined) return [`${name} has no configuration`];
    return [...fleet.routes].flatMap(([table, { virtualHosts }]) => {
      const here = pooled.filter(({ key }) => fleet.gateways.get(key)?.routes.includes(table));
      return virtualHosts.flatMap(({ domains, routes }) =>
        domains
          .filter((domain) => domain !== "*" || routes.some(({ action }) => action.case === "route"))
          .flatMap((domain) => {
            const owners = here.filter(({ hostnames }) => hostnames.includes(domain));
            const strays = routes.filter(
              ({ name: route }) => !owners.some((owner) => isOf(owner, route, outcome)),
            );
            return owners.length === 1 && strays.length === 0
              ? []
              : [
                  `${table}: ${domain} of ${owners.length} has ${strays.map((route) => route.name).join(" ")}`,
                ];
          }),
      );
    });
  });
}

/** References to tables, clusters, endpoints and secrets that are not in the fleet's configuration. */
export function dangling({ translation }: Outcome): readonly string[] {
  return [...translation.config.fleets].flatMap(([name, fleet]) => {
    const wanted: Wanted[] = [
      ...wants([...fleet.listeners.values()].flatMap(tablesOf), fleet.routes),
      ...wants([...fleet.tables.values()].flat(), fleet.routes),
      ...wants(fleet.tables.keys(), fleet.listeners),
      ...wants(
        waysOf(fleet).map(({ cluster }) => cluster),
        fleet.clusters,
      ),
      ...wants([...secretsOf(fleet), ...[...fleet.clusterSecrets.values()].flat()], fleet.secrets),
      ...[...fleet.clusters.values()].flatMap((cluster) => {
        const parts = partsOf(cluster);
        if (parts.length > 0) return wants(parts, fleet.clusters);
        // One that nobody can be behind, for want of an identity, asks for no endpoints.
        return cluster.edsClusterConfig === undefined ? [] : wants([cluster.name], fleet.endpoints);
      }),
      ...[...fleet.gateways.values()].flatMap(({ listeners, routes, secrets }) => [
        ...wants(listeners, fleet.listeners),
        ...wants(routes, fleet.routes),
        ...wants(secrets, fleet.secrets),
      ]),
    ];
    return wanted.filter(({ key, among }) => !among.has(key)).map(({ key }) => `${name}: ${key}`);
  });
}

/** A name that has to be among others. */
interface Wanted {
  readonly key: string;
  readonly among: ReadonlyMap<string, unknown>;
}

const wants = (keys: Iterable<string>, among: ReadonlyMap<string, unknown>): Wanted[] =>
  [...keys].map((key) => ({ key, among }));

/** Whether a way may lead to its cluster. */
function mayGo(way: Way, fleet: string, outcome: Outcome): boolean {
  const { world, desired } = outcome;
  const [form, namespace = "", name = ""] = way.cluster.split("/");
  const owner = way.route === undefined ? undefined : routeOfEnvoyRoute(way.route);
  const isGenerated = owner?.kind === "HTTPRoute" && desired.objects.has(`HTTPRoute/${owner.key}`);
  if (form === "wan" || form === "wan-tls") {
    const backend = desired.wanBackends.get(namespace);
    if (backend === undefined || !isExported(backend.service, outcome)) return false;
    const to = { namespace: dummyNamespace, name: namespace };
    return owner === undefined ? isGrantedToStream(to, outcome) : isGranted({ ...owner, to }, outcome);
  }
  if (form === "stream") return isExportedHere({ namespace, name }, outcome);
  const service = world.home.Service.get(`${namespace}/${name}`);
  if (service === undefined || service.spec?.type === "ExternalName") return false;
  // Home's part of a service in all clusters: its name in another cluster's grants is that of the whole.
  if (form === "home") return isExportedHere({ namespace, name }, outcome);
  if (owner === undefined) return isGrantedToStream({ namespace, name }, outcome);
  if (isGenerated && fleet === ingressPool) {
    const own = [`${name}.${namespace}`, `${name}-clusterset.${namespace}`];
    const isOwn = (domain: string): boolean =>
      own.some((host) => domain === host || domain.startsWith(`${host}.svc`));
    return isExportedHere({ namespace, name }, outcome) && way.domains.every(isOwn);
  }
  return isGranted({ ...owner, to: { namespace, name } }, outcome);
}

/** Whether some route that chooses by connection names a Service, and may. */
function isGrantedToStream(to: ServiceRef, outcome: Outcome): boolean {
  const routes = [
    ...[...outcome.world.home.TLSRoute].map(([key, route]) => ["TLSRoute", key, route] as const),
    ...[...outcome.desired.tcpRoutes].map(([key, route]) => ["TCPRoute", key, route] as const),
  ];
  return routes.some(
    ([kind, key, { metadata, spec }]) =>
      spec.rules.some(({ backendRefs }) =>
        backendRefs.some(
          ({ name, namespace = metadata.namespace }) => name === to.name && namespace === to.namespace,
        ),
      ) && isGranted({ kind, key, to }, outcome),
  );
}

const isExportedHere = ({ namespace, name }: ServiceRef, { world }: Outcome): boolean => {
  const found = world.home.ServiceExport.get(`${namespace}/${name}`);
  return found !== undefined && found.metadata.deletionTimestamp === undefined;
};

const isExported = (service: ServiceRef, outcome: Outcome): boolean =>
  isExportedHere(service, outcome) ||
  outcome.world.peers.some(
    (peer) => isHeard(peer) && peer.objects.ServiceAdvertisement.has(`${service.namespace}/${service.name}`),
  );

/** Whether a route may name a Service: one of its own namespace, or by a ReferenceGrant there. */
function isGranted(
  { kind, key, to }: { readonly kind: string; readonly key: string; readonly to: ServiceRef },
  { desired }: Outcome,
): boolean {
  const [from] = key.split("/");
  if (from === to.namespace) return true;
  return [...desired.referenceGrants.values()].some(
    ({ metadata, spec }) =>
      metadata.namespace === to.namespace &&
      spec?.from.some((source) => source.kind === kind && source.namespace === from) === true &&
      spec.to.some(
        (target) =>
          target.group === "" &&
          target.kind === "Service" &&
          (target.name === undefined || target.name === to.name),
      ),
  );
}

/** Whether an Envoy route may stand under the names of a pooled Gateway: by a route of its namespace that names it. */
function isOf(
  { service, key }: PooledGateway & { readonly key: string },
  name: string,
  { desired }: Outcome,
): boolean {
  const owner = routeOfEnvoyRoute(name);
  // Those that answer by themselves (404) have no object.
  if (owner === undefined) return !name.includes("/rule/");
  const route = (owner.kind === "GRPCRoute" ? desired.grpcRoutes : desired.httpRoutes).get(owner.key);
  return (route?.spec.parentRefs ?? []).some(
    (parent) =>
      `${parent.namespace ?? route?.metadata.namespace ?? ""}/${parent.name}` === key &&
      route?.metadata.namespace === service.namespace,
  );
}

function secretsOf(fleet: FleetConfig): readonly string[] {
  const parts = [
    ...[...fleet.listeners.values()].map((listener) =>
      toJson(ListenerSchema, listener, { registry: envoyRegistry }),
    ),
    ...[...fleet.clusters.values()].map((cluster) =>
      toJson(ClusterSchema, cluster, { registry: envoyRegistry }),
    ),
  ];
  return parts.flatMap(sdsNames);
}

/** The `name` beside every `sdsConfig`, at any depth. */
function sdsNames(value: JsonValue): readonly string[] {
  if (typeof value !== "object" || value === null) return [];
  if (Array.isArray(value)) return value.flatMap(sdsNames);
  const { name, sdsConfig } = value;
  const own = sdsConfig !== undefined && typeof name === "string" ? [name] : [];
  return [...own, ...Object.values(value).flatMap(sdsNames)];
}
