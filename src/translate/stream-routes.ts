/**
 * TCPRoutes and TLSRoutes: where they attach, where their connections go, and what is to be said of them. A reference that
 * leads nowhere closes its share of connections; nothing ever falls to another backend.
 *
 * Source: Gateway API, TCPRoute, TLSRoute.
 */
import type { RouteVerdict } from "../model/envoy-config.ts";
import type { ObjectTypes, StreamRouteKind } from "../model/kinds.ts";
import { keyOf } from "../model/kube-object.ts";
import { areSame, KeyedMemo } from "../model/memo.ts";
import { annotations, closedCluster } from "../model/names.ts";
import { byAge } from "../model/order.ts";
import type { Problem } from "../model/problem.ts";
import type { Store } from "../model/world.ts";
import { attach } from "./attach.ts";
import type { Attachment, AttachTarget } from "./attach.ts";
import type { BackendQuery, ClusterSpec, ResolveBackend } from "./backends.ts";
import { queryOf } from "./read-route.ts";
import type { JudgedListener } from "./judged-listener.ts";
import { parentOf } from "./parents.ts";
import type { ParentKey } from "./parents.ts";
import { routeVerdicts } from "./verdicts.ts";

type StreamRoute = ObjectTypes[StreamRouteKind];

/** Where a route's connections go. */
interface StreamShares {
  /** `namespace/name` of the route. */
  readonly key: string;
  /** Empty: nowhere. */
  readonly open: readonly { readonly cluster: string; readonly weight: number }[];
  readonly specs: readonly ClusterSpec[];
}

/** A route at a listener, in the order of precedence. */
export interface StreamAt {
  readonly listener: JudgedListener;
  readonly hostnames: readonly string[];
  readonly shares: StreamShares;
}

/** A route at a Gateway. */
export interface StreamRouteAtGateway {
  readonly gateway: string;
  readonly route: StreamRoute;
  readonly attachments: readonly Attachment[];
  /** Where bytes pass through as they are, and where TLS ends at the gateway. */
  readonly passed: StreamShares;
  readonly terminated: StreamShares;
  /** What it names. */
  readonly queries: readonly BackendQuery[];
}

interface Step {
  readonly at: readonly StreamRouteAtGateway[];
  readonly verdicts: readonly RouteVerdict[];
  readonly resolved: readonly (ClusterSpec | Problem)[];
}

/** All routes of a kind: by Gateway, and what is said of them by the route's key. */
export interface StreamRoutes {
  readonly byGateway: ReadonlyMap<string, readonly StreamRouteAtGateway[]>;
  readonly verdicts: ReadonlyMap<string, readonly RouteVerdict[]>;
}

export interface StreamRoutesInput {
  readonly routes: Store<StreamRoute>;
  readonly namespaces: Store<ObjectTypes["Namespace"]>;
  readonly resolve: ResolveBackend;
  /** Gateways, and once more for each of their ListenerSets. */
  readonly targets: ReadonlyMap<ParentKey, AttachTarget>;
}

/** Makes a function that remembers its last pass. */
export function createStreamRoutes(kind: StreamRouteKind): (input: StreamRoutesInput) => StreamRoutes {
  const steps = new KeyedMemo<Step>();
  return ({ routes, namespaces, resolve, targets }) => {
    steps.endPass();
    const byGateway = new Map<string, StreamRouteAtGateway[]>();
    const verdicts = new Map<string, readonly RouteVerdict[]>();
    for (const [key, route] of [...routes].sort(([, a], [, b]) => byAge(a, b))) {
      const namespace = namespaces.get(route.metadata.namespace ?? "");
      const { at, verdicts: said } = steps.get(key, [route, namespace, resolve, targets], (previous) =>
        stepOf({ kind, key, route, namespace, resolve, targets }, previous),
      );
      if (said.length > 0) verdicts.set(key, said);
      for (const one of at) {
        const others = byGateway.get(one.gateway);
        if (others === undefined) byGateway.set(one.gateway, [one]);
        else others.push(one);
      }
    }
    return { byGateway, verdicts };
  };
}

/** The routes of a Gateway at its listeners, in the order of precedence. */
export function streamsOf(routes: readonly StreamRouteAtGateway[]): StreamAt[] {
  return routes.flatMap(({ attachments, passed, terminated }) =>
    attachments.map(({ listener, hostnames }) => ({
      listener,
      hostnames,
      shares: listener.way === "Terminate" ? terminated : passed,
    })),
  );
}

type Rule = ObjectTypes["TCPRoute"]["spec"]["rules"][number];

/** What a TCPRoute says of the ports behind its dummies. */
function servicePortsOf({ metadata }: StreamRoute): readonly string[] {
  const said = metadata.annotations?.[annotations.servicePorts];
  return said === undefined ? [] : said.split(",").map((port) => port.trim());
}

interface StepInput extends Pick<StreamRoutesInput, "resolve" | "targets"> {
  readonly kind: StreamRouteKind;
  readonly key: string;
  readonly route: StreamRoute;
  readonly namespace: ObjectTypes["Namespace"] | undefined;
}

function stepOf(
  { kind, key, route, namespace, resolve, targets }: StepInput,
  previous: Step | undefined,
): Step {
  const refs = (route.spec.rules as readonly Rule[]).flatMap(({ backendRefs = [] }) => backendRefs);
  const namespaceOfRoute = route.metadata.namespace ?? "";
  const from = { kind, namespace: namespaceOfRoute, hasRetry: false };
  const ports = kind === "TCPRoute" ? servicePortsOf(route) : [];
  const queries = refs.map((ref, index) => queryOf(ref, from, ports[index] ?? ports[0]));
  const passedSpecs = queries.map((query) =>
    resolve({ ...query, key: `passed ${query.key}`, isPassed: true }),
  );
  // Nothing ends at the gateway where nothing is known of the bytes.
  const specs = kind === "TCPRoute" ? passedSpecs : queries.map(resolve);
  const resolved = [...passedSpecs, ...specs];
  const shares = (found: readonly (ClusterSpec | Problem)[]): StreamShares => {
    const all = refs.flatMap(({ weight = 1 }, index) => {
      const spec = found[index];
      if (weight === 0 || spec === undefined) return [];
      return [{ weight, spec: "form" in spec ? spec : undefined }];
    });
    const open = all.flatMap(({ spec }) => spec ?? []);
    const parts = all.map(({ weight, spec }) => ({ cluster: spec?.name ?? closedCluster, weight }));
    return { key, open: open.length === 0 ? [] : parts, specs: open };
  };
  const passed = shares(passedSpecs);
  const terminated = shares(specs);
  const problems = passedSpecs.filter((spec): spec is Problem => "reason" in spec && !("toldAt" in spec));
  const named = (route.spec.parentRefs ?? []).flatMap((parentRef) => {
    const parent = parentOf(parentRef, route);
    return (parent === undefined ? undefined : targets.get(parent)) ?? [];
  });
  const at: StreamRouteAtGateway[] = [];
  const verdicts: RouteVerdict[] = [];
  for (const target of new Set(named)) {
    const gateway = keyOf(target.served.gateway.metadata);
    const { parents, attachments } = attach({ kind, route }, target, namespace);
    at.push({ gateway, route, attachments, passed, terminated, queries });
    const refProblems = [...new Map(problems.map((problem) => [problem.message, problem])).values()];
    verdicts.push(...routeVerdicts(parents, { kind, route, problems: [], isUsable: true, refProblems }));
  }
  // The same answers at the same Gateways: nothing is made anew.
  const isSame =
    previous !== undefined &&
    areSame(previous.resolved, resolved) &&
    JSON.stringify(previous.verdicts) === JSON.stringify(verdicts) &&
    previous.at.length === at.length &&
    previous.at.every((one, index) => {
      const other = at[index];
      return (
        one.route === other?.route &&
        areSame(
          one.attachments.map(({ listener }) => listener),
          other.attachments.map(({ listener }) => listener),
        )
      );
    });
  return isSame ? previous : { at, verdicts, resolved };
}
