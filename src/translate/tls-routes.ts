/**
 * TLSRoutes: where they attach, where their connections go, and what is to be said of them. A reference that leads nowhere
 * closes its share of connections; nothing ever falls to another backend.
 *
 * Source: Gateway API, TLSRoute.
 */
import type { RouteVerdict } from "../model/envoy-config.ts";
import type { ObjectTypes } from "../model/kinds.ts";
import { keyOf } from "../model/kube-object.ts";
import { areSame, KeyedMemo } from "../model/memo.ts";
import { closedCluster } from "../model/names.ts";
import { byAge } from "../model/order.ts";
import type { Problem } from "../model/problem.ts";
import type { World } from "../model/world.ts";
import { attach } from "./attach.ts";
import type { Attachment, AttachTarget } from "./attach.ts";
import type { BackendQuery, ClusterSpec, ResolveBackend } from "./backends.ts";
import { queryOf } from "./read-route.ts";
import type { JudgedListener } from "./judged-listener.ts";
import { parentOf } from "./parents.ts";
import type { ParentKey } from "./parents.ts";
import { routeVerdicts } from "./verdicts.ts";

type TLSRoute = ObjectTypes["TLSRoute"];

/** Where a route's connections go. */
interface StreamShares {
  /** `namespace/name` of the route. */
  readonly key: string;
  /** Empty: nowhere. */
  readonly open: readonly { readonly cluster: string; readonly weight: number }[];
  readonly specs: readonly ClusterSpec[];
}

/** A TLSRoute at a listener, in the order of precedence. */
export interface StreamAt {
  readonly listener: JudgedListener;
  readonly hostnames: readonly string[];
  readonly shares: StreamShares;
}

/** A TLSRoute at a Gateway. */
export interface TlsRouteAtGateway {
  readonly gateway: string;
  readonly route: TLSRoute;
  readonly attachments: readonly Attachment[];
  /** Where TLS passes through, and where it ends at the gateway. */
  readonly passed: StreamShares;
  readonly terminated: StreamShares;
  /** What it names. */
  readonly queries: readonly BackendQuery[];
}

interface Step {
  readonly at: readonly TlsRouteAtGateway[];
  readonly verdicts: readonly RouteVerdict[];
  readonly resolved: readonly (ClusterSpec | Problem)[];
}

/** All TLSRoutes of a World: by Gateway, and what is said of them by the route's key. */
export interface TlsRoutes {
  readonly byGateway: ReadonlyMap<string, readonly TlsRouteAtGateway[]>;
  readonly verdicts: ReadonlyMap<string, readonly RouteVerdict[]>;
}

export interface TlsRoutesInput {
  readonly world: World;
  readonly resolve: ResolveBackend;
  /** Gateways, and once more for each of their ListenerSets. */
  readonly targets: ReadonlyMap<ParentKey, AttachTarget>;
}

/** Makes a function that remembers its last pass. */
export function createTlsRoutes(): (input: TlsRoutesInput) => TlsRoutes {
  const steps = new KeyedMemo<Step>();
  return ({ world, resolve, targets }) => {
    steps.endPass();
    const byGateway = new Map<string, TlsRouteAtGateway[]>();
    const verdicts = new Map<string, readonly RouteVerdict[]>();
    for (const [key, route] of [...world.home.TLSRoute].sort(([, a], [, b]) => byAge(a, b))) {
      const namespace = world.home.Namespace.get(route.metadata.namespace ?? "");
      const { at, verdicts: said } = steps.get(key, [route, namespace, resolve, targets], (previous) =>
        stepOf({ key, route, namespace, resolve, targets }, previous),
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
export function streamsOf(routes: readonly TlsRouteAtGateway[]): StreamAt[] {
  return routes.flatMap(({ attachments, passed, terminated }) =>
    attachments.map(({ listener, hostnames }) => ({
      listener,
      hostnames,
      shares: listener.way === "Passthrough" ? passed : terminated,
    })),
  );
}

interface StepInput extends Pick<TlsRoutesInput, "resolve" | "targets"> {
  readonly key: string;
  readonly route: TLSRoute;
  readonly namespace: ObjectTypes["Namespace"] | undefined;
}

function stepOf({ key, route, namespace, resolve, targets }: StepInput, previous: Step | undefined): Step {
  const refs = route.spec.rules.flatMap((rule) => rule.backendRefs);
  const namespaceOfRoute = route.metadata.namespace ?? "";
  const from = { kind: "TLSRoute" as const, namespace: namespaceOfRoute, hasRetry: false };
  const queries = refs.map((ref) => queryOf(ref, from, undefined));
  const passedSpecs = queries.map((query) =>
    resolve({ ...query, key: `passed ${query.key}`, isPassed: true }),
  );
  const specs = queries.map(resolve);
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
  const at: TlsRouteAtGateway[] = [];
  const verdicts: RouteVerdict[] = [];
  for (const target of new Set(named)) {
    const gateway = keyOf(target.served.gateway.metadata);
    const { parents, attachments } = attach({ kind: "TLSRoute", route }, target, namespace);
    at.push({ gateway, route, attachments, passed, terminated, queries });
    const refProblems = [...new Map(problems.map((problem) => [problem.message, problem])).values()];
    verdicts.push(
      ...routeVerdicts(parents, { kind: "TLSRoute", route, problems: [], isUsable: true, refProblems }),
    );
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
