/**
 * Puts what every part contributes into one Desired. An object under one of our names that somebody else made is left
 * alone: ours, and what would attach to it, is left out, and the cause is told (specification, invariant 6).
 */
import {
  objectKey,
  type DesiredObject,
  type ObjectKey,
  type ServedGateway,
  type WanBackend,
} from "../model/desired.ts";
import type { KindName, ObjectTypes } from "../model/kinds.ts";
import { KeyedMemo } from "../model/memo.ts";
import { keyOf, type ObjectMeta } from "../model/kube-object.ts";
import { labels } from "../model/names.ts";
import { compare } from "../model/order.ts";
import { homeKinds, type Store, type World } from "../model/world.ts";
import { isOurs } from "./owners.ts";

/** What one part adds. */
export interface Contribution {
  readonly objects: readonly DesiredObject[];
  readonly gateway?: ServedGateway;
  readonly gateways?: readonly ServedGateway[];
  readonly route?: ObjectTypes["HTTPRoute"];
  readonly routes?: readonly ObjectTypes["HTTPRoute"][];
  readonly tcpRoutes?: readonly ObjectTypes["TCPRoute"][];
  readonly grants?: readonly ObjectTypes["ReferenceGrant"][];
  readonly wanBackends?: readonly (readonly [string, WanBackend])[];
}

/** All contributions together. */
export interface Assembled {
  readonly objects: ReadonlyMap<ObjectKey, DesiredObject>;
  readonly gateways: readonly ServedGateway[];
  readonly httpRoutes: ReadonlyMap<string, ObjectTypes["HTTPRoute"]>;
  readonly grpcRoutes: ReadonlyMap<string, ObjectTypes["GRPCRoute"]>;
  readonly tcpRoutes: ReadonlyMap<string, ObjectTypes["TCPRoute"]>;
  readonly referenceGrants: ReadonlyMap<string, ObjectTypes["ReferenceGrant"]>;
  readonly wanBackends: ReadonlyMap<string, WanBackend>;
  /** `kind namespace/name` of objects that are somebody else's, by the key of the service that asked for them; sorted. */
  readonly taken: ReadonlyMap<string, readonly string[]>;
}

/** Puts contributions together, and remembers how: tens of thousands of objects stand in every pass, and few are new. */
export class Assembler {
  readonly #served = new KeyedMemo<ServedGateway>();
  readonly #foreign = new KeyedMemo<readonly ObjectKey[]>();
  #contributions: readonly Contribution[] = [];
  #wanted: ReadonlyMap<ObjectKey, DesiredObject> = new Map();
  #doubles: readonly DesiredObject[] = [];

  /** Everything together; of two that want one name the first has it. */
  assemble(world: World, contributions: readonly Contribution[]): Assembled {
    this.#want(contributions);
    const refused = new Set<ObjectKey>();
    const taken = new Map<string, string[]>();
    const refuse = ({ object }: DesiredObject): void => {
      const own = object.metadata.labels ?? {};
      const cause = `${own[labels.serviceNamespace] ?? ""}/${own[labels.serviceName] ?? ""}`;
      taken.set(
        cause,
        [...(taken.get(cause) ?? []), `${object.kind} "${keyOf(object.metadata)}"`].sort(compare),
      );
    };
    this.#doubles.forEach(refuse);
    for (const kind of homeKinds) {
      // Nothing of ours is one, and they are many.
      if (kind === "ClientPod") continue;
      const store: Store<{ readonly metadata: ObjectMeta }> = world.home[kind];
      for (const key of this.#foreign.get(kind, [store], () => foreignKeys(kind, store))) {
        const wanted = this.#wanted.get(key);
        if (wanted === undefined) continue;
        refused.add(key);
        refuse(wanted);
      }
    }
    const objects = refused.size === 0 ? this.#wanted : withoutDependents(this.#wanted, refused);
    const allStand = refused.size === 0 && this.#doubles.length === 0;
    const { gateways, ...rest } = gatewayApi(world, contributions, { objects, allStand });
    const served = gateways.map((gateway) => withGeneration(gateway, world, this.#served));
    this.#served.endPass();
    this.#foreign.endPass();
    return { objects, taken, ...rest, gateways: served };
  }

  /** Brings the map of wanted objects up to date: a patch where only some parts are new, else from the start. */
  #want(contributions: readonly Contribution[]): void {
    const before = this.#contributions;
    this.#contributions = contributions;
    if (before.length === contributions.length && this.#doubles.length === 0) {
      const changed = contributions.flatMap(({ objects }, index) => {
        const old = before[index]?.objects ?? [];
        return old === objects ? [] : [{ old, objects }];
      });
      if (changed.length === 0) return;
      const wanted = new Map(this.#wanted);
      for (const { old } of changed) for (const desired of old) wanted.delete(keyIn(desired));
      let isPlain = true;
      for (const { objects } of changed) {
        for (const desired of objects) {
          const key = keyIn(desired);
          isPlain &&= !wanted.has(key);
          wanted.set(key, desired);
        }
      }
      if (isPlain) {
        this.#wanted = wanted;
        return;
      }
    }
    const wanted = new Map<ObjectKey, DesiredObject>();
    const doubles: DesiredObject[] = [];
    for (const { objects } of contributions) {
      for (const desired of objects) {
        const key = keyIn(desired);
        if (wanted.has(key)) doubles.push(desired);
        else wanted.set(key, desired);
      }
    }
    this.#wanted = wanted;
    this.#doubles = doubles;
  }
}

/** Keys of the objects of a kind that others made. */
function foreignKeys(kind: KindName, store: Store<{ readonly metadata: ObjectMeta }>): ObjectKey[] {
  const keys: ObjectKey[] = [];
  for (const [key, object] of store) if (!isOurs(object)) keys.push(objectKey(kind, key));
  return keys;
}

/** Keys of objects that come again in every pass: joining strings for tens of thousands of them would be most of the work. */
const knownKeys = new WeakMap<DesiredObject, ObjectKey>();

function keyIn(desired: DesiredObject): ObjectKey {
  let key = knownKeys.get(desired);
  if (key === undefined) {
    key = objectKey(desired.kind, keyOf(desired.object.metadata));
    knownKeys.set(desired, key);
  }
  return key;
}

/** Slices of a Service that is somebody else's would lead its clients astray, and so would a route at somebody's Gateway. */
function withoutDependents(
  wanted: ReadonlyMap<ObjectKey, DesiredObject>,
  refused: ReadonlySet<ObjectKey>,
): Map<ObjectKey, DesiredObject> {
  const result = new Map<ObjectKey, DesiredObject>();
  for (const [key, desired] of wanted) {
    if (refused.has(key)) continue;
    const { kind, object } = desired;
    const { namespace, name, labels: own } = object.metadata;
    const service =
      kind === "EndpointSlice" ? own?.[labels.kubeServiceName] : kind === "Endpoints" ? name : undefined;
    if (service !== undefined && refused.has(objectKey("Service", keyOf({ namespace, name: service }))))
      continue;
    if (
      (kind === "HTTPRoute" || kind === "TCPRoute") &&
      parentsOf(object as unknown as ObjectTypes["HTTPRoute"]).some((parent) =>
        refused.has(objectKey("Gateway", parent)),
      )
    )
      continue;
    result.set(key, desired);
  }
  return result;
}

const parentsOf = ({ metadata, spec }: ObjectTypes["HTTPRoute"]): string[] =>
  (spec.parentRefs ?? []).map(({ name }) => keyOf({ namespace: metadata.namespace, name }));

/** The generation that stands: what Envoys acknowledge is told by it. */
function withGeneration(served: ServedGateway, world: World, memo: KeyedMemo<ServedGateway>): ServedGateway {
  const key = keyOf(served.gateway.metadata);
  const generation = world.home.Gateway.get(key)?.metadata.generation;
  if (served.pooled === undefined || generation === undefined) return served;
  return memo.get(key, [served, generation], () => {
    const { gateway } = served;
    return { ...served, gateway: { ...gateway, metadata: { ...gateway.metadata, generation } } };
  });
}

/** Generated ones as they will stand, users' as they are. */
function gatewayApi(
  world: World,
  contributions: readonly Contribution[],
  {
    objects,
    allStand,
  }: { readonly objects: ReadonlyMap<ObjectKey, DesiredObject>; readonly allStand: boolean },
): Pick<
  Assembled,
  "gateways" | "httpRoutes" | "grpcRoutes" | "tcpRoutes" | "referenceGrants" | "wanBackends"
> {
  const gateways: { readonly key: string; readonly served: ServedGateway }[] = [];
  const httpRoutes = new Map<string, ObjectTypes["HTTPRoute"]>();
  const tcpRoutes = new Map<string, ObjectTypes["TCPRoute"]>();
  const referenceGrants = new Map<string, ObjectTypes["ReferenceGrant"]>();
  const wanBackends = new Map<string, WanBackend>();
  const stands = (kind: KindName, key: string, object: object): boolean => {
    return allStand || (objects.get(objectKey(kind, key))?.object as object | undefined) === object;
  };
  for (const [key, route] of world.home.HTTPRoute) if (!isOurs(route)) httpRoutes.set(key, route);
  for (const [key, tcpRoute] of world.home.TCPRoute) if (!isOurs(tcpRoute)) tcpRoutes.set(key, tcpRoute);
  for (const [key, grant] of world.home.ReferenceGrant) if (!isOurs(grant)) referenceGrants.set(key, grant);
  for (const {
    gateway,
    gateways: more = [],
    route,
    routes = [],
    tcpRoutes: streams = [],
    grants = [],
    wanBackends: backends = [],
  } of contributions) {
    for (const served of gateway === undefined ? more : [gateway, ...more]) {
      const key = keyOf(served.gateway.metadata);
      if (served.pooled === undefined || stands("Gateway", key, served.gateway))
        gateways.push({ key, served });
    }
    for (const generated of route === undefined ? routes : [route, ...routes]) {
      const key = keyOf(generated.metadata);
      if (stands("HTTPRoute", key, generated)) httpRoutes.set(key, generated);
    }
    for (const generated of streams) {
      const key = keyOf(generated.metadata);
      // Where the cluster has no TCPRoutes none can be in the way.
      if (world.absentKinds.has("TCPRoute") || stands("TCPRoute", key, generated))
        tcpRoutes.set(key, generated);
    }
    for (const grant of grants) {
      const key = keyOf(grant.metadata);
      if (stands("ReferenceGrant", key, grant)) referenceGrants.set(key, grant);
    }
    for (const [name, backend] of backends) wanBackends.set(name, backend);
  }
  gateways.sort((a, b) => compare(a.key, b.key));
  return {
    gateways: gateways.map(({ served }) => served),
    httpRoutes,
    grpcRoutes: world.home.GRPCRoute,
    tcpRoutes,
    referenceGrants,
    wanBackends,
  };
}
