/**
 * Routes from pass to pass: read once, resolved and judged anew only where something that they follow from has changed.
 *
 *     route, Gateways, backends, namespace → what it is at each Gateway, and what is to be said of it
 *
 * Never puts a table together, and never looks at two routes at once.
 */
import type { RouteVerdict } from "../model/envoy-config.ts";
import { keyOf } from "../model/kube-object.ts";
import type { ObjectMeta } from "../model/kube-object.ts";
import type { ObjectTypes, RouteKind } from "../model/kinds.ts";
import { areSame } from "../model/memo.ts";
import { sortedEntries } from "../model/order.ts";
import type { Problem } from "../model/problem.ts";
import { attach } from "./attach.ts";
import type { AttachTarget, ParentOutcome } from "./attach.ts";
import type { BackendQuery, ClusterSpec, ResolveBackend } from "./backends.ts";
import type { Route } from "./gateway-api.ts";
import type { HostedAt, RouteAtGateway } from "./loaded-gateway.ts";
import type { ParentKey } from "./parents.ts";
import { readGrpcRoute, readHttpRoute } from "./read-route.ts";
import type { ReadRoute } from "./read-route.ts";
import { translateRoute } from "./routes.ts";
import type { Place, TranslatedRoute } from "./routes.ts";
import { routeVerdicts } from "./verdicts.ts";

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
export interface JudgedRoute extends RouteAtGateway {
  readonly parents: readonly ParentOutcome[];
  /** Whether there is nothing wrong with it, or some of its rules can be carried out all the same. */
  readonly isAccepted: boolean;
  /** Key of the Gateway. */
  readonly gateway: string;
  readonly target: AttachTarget;
  readonly namespace: Namespace | undefined;
  readonly resolved: Resolved;
  /** What it names. */
  readonly queries: readonly BackendQuery[];
  readonly verdicts: readonly RouteVerdict[];
}

type Namespace = ObjectTypes["Namespace"];

/** What all steps of a pass have in common. */
export interface Around {
  readonly resolve: ResolveBackend;
  /** Gateways, and once more for each of their ListenerSets. */
  readonly targets: ReadonlyMap<ParentKey, AttachTarget>;
  readonly namespaces: ReadonlyMap<string, Namespace>;
}

/** Steps by the keys of their routes, in the order of keys. */
export type KeyedSteps = readonly (readonly [key: string, step: RouteStep])[];

interface Entry {
  readonly route: Route;
  readonly dependencies: readonly unknown[];
  readonly step: RouteStep;
}

/** The routes of one kind. */
export class RouteSteps {
  readonly #kind: RouteKind;
  readonly #entries = new Map<string, Entry>();
  #around: Around | undefined;
  #steps: KeyedSteps = [];

  constructor(kind: RouteKind) {
    this.#kind = kind;
  }

  /** The steps of all routes; the same list while no step is another. A route that is the same object costs one look. */
  of(routes: ReadonlyMap<string, Route>, around: Around): KeyedSteps {
    const before = this.#around;
    const isAround =
      before?.resolve === around.resolve &&
      before.targets === around.targets &&
      before.namespaces === around.namespaces;
    this.#around = around;
    let isSame = true;
    for (const [key, route] of routes) {
      const known = this.#entries.get(key);
      if (isAround && known?.route === route) continue;
      const entry = this.#entryOf({ key, route, around }, known);
      if (entry.step !== known?.step) isSame = false;
      this.#entries.set(key, entry);
    }
    if (this.#entries.size > routes.size) {
      isSame = false;
      for (const key of this.#entries.keys()) if (!routes.has(key)) this.#entries.delete(key);
    }
    if (!isSame) this.#steps = sortedEntries(this.#entries).map(([key, { step }]) => [key, step] as const);
    return this.#steps;
  }

  #entryOf(
    { key, route, around }: { readonly key: string; readonly route: Route; readonly around: Around },
    known: Entry | undefined,
  ): Entry {
    const { resolve, targets, namespaces } = around;
    const namespace = namespaces.get(route.metadata.namespace ?? "");
    const dependencies = [...contentOf(route), resolve, targets, namespace];
    if (known !== undefined && areSame(known.dependencies, dependencies)) return { ...known, route };
    const input = { kind: this.#kind, key, route, namespace, resolve, targets };
    return { route, dependencies, step: stepOf(input, known?.step) };
  }
}

/**
 * What says whether an object's spec is the same: the API server counts every change of it, and none of a status. What
 * doesn't stand yet is the same object while it is the same.
 */
export function contentOf(object: { readonly metadata: ObjectMeta }): readonly [unknown, unknown] {
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
  /** Gateways, and once more for each of their ListenerSets. */
  readonly targets: ReadonlyMap<ParentKey, AttachTarget>;
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
  const named = new Set(unit.read.parents.flatMap((parent) => targets.get(parent) ?? []));
  const judged = [...named].map((target): JudgedRoute => {
    const gateway = keyOf(target.served.gateway.metadata);
    const known = previous?.judged.find((one) => one.gateway === gateway);
    const isSame =
      known?.target === target && known.resolved === resolved && known.namespace === input.namespace;
    return isSame ? known : judge(unit, resolved, { ...input, gateway, target });
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
  const { queries } = unit.read;
  const found = { kind, route, queries, parents, attachments, hosted, translate, isAccepted, verdicts };
  return { key, gateway, target, namespace, resolved, ...found };
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
