/**
 * Which routes attach to which listeners, and with which hostnames.
 *
 * Source: Gateway API, ParentReference, AllowedRoutes, hostnames of HTTPRouteSpec, GRPCRouteSpec and TLSRouteSpec.
 */
import { reasons } from "../api/conditions.ts";
import type { ServedGateway } from "../model/desired.ts";
import type { AnyRouteKind, ObjectTypes } from "../model/kinds.ts";
import { keyOf } from "../model/kube-object.ts";
import type { Problem } from "../model/problem.ts";
import { gatewayGroup } from "./gateway-api.ts";
import type { AnyRoute, GatewayListener, ParentRef } from "./gateway-api.ts";
import { anyHost, intersections, normalizeHost } from "./hosts.ts";
import { isAccepted } from "./listeners.ts";
import type { JudgedListener } from "./listeners.ts";

/** A route at one listener. */
export interface Attachment {
  readonly listener: JudgedListener;
  /** What the listener's and the route's hostnames have in common; sorted, never empty. */
  readonly hostnames: readonly string[];
}

/** What became of one parentRef. */
export interface ParentOutcome {
  readonly parentRef: ParentRef;
  /** Where the route attaches by it, refused listeners included. */
  readonly listeners: readonly JudgedListener[];
  /** Why the route is not accepted there. */
  readonly problem?: Problem;
}

/** A route at one Gateway, over all parentRefs that name it. */
export interface Attached {
  readonly parents: readonly ParentOutcome[];
  /** In the order of the Gateway's listeners, each at most once; those that are refused too. */
  readonly attachments: readonly Attachment[];
}

/** A Gateway as routes see it. */
export interface AttachTarget {
  readonly served: Pick<ServedGateway, "gateway" | "pooled">;
  readonly listeners: readonly JudgedListener[];
}

/** The key (`namespace/name`) of the Gateway that a parentRef of a route names; undefined if it names another kind. */
export function parentGateway(parentRef: ParentRef, route: AnyRoute): string | undefined {
  const { group = gatewayGroup, kind = "Gateway", namespace = route.metadata.namespace, name } = parentRef;
  return group === gatewayGroup && kind === "Gateway" ? keyOf({ namespace, name }) : undefined;
}

/** Attaches a route, of the given namespace, to a Gateway that at least one of its parentRefs names. */
export function attach(
  { kind, route }: { readonly kind: AnyRouteKind; readonly route: AnyRoute },
  target: AttachTarget,
  namespace: ObjectTypes["Namespace"] | undefined,
): Attached {
  const key = keyOf(target.served.gateway.metadata);
  const parents: ParentOutcome[] = [];
  const attached = new Map<JudgedListener, Attachment>();
  for (const parentRef of route.spec.parentRefs ?? []) {
    if (parentGateway(parentRef, route) !== key) continue;
    const found = attachParent({ kind, route }, { target, parentRef, namespace });
    if ("reason" in found) {
      parents.push({ parentRef, listeners: [], problem: found });
      continue;
    }
    for (const attachment of found) attached.set(attachment.listener, attachment);
    const refused = found.every(({ listener }) => !isAccepted(listener));
    const listeners = found.map(({ listener }) => listener);
    parents.push({ parentRef, listeners, ...(refused ? { problem: noReadyListeners } : {}) });
  }
  const attachments = target.listeners.flatMap((listener) => attached.get(listener) ?? []);
  return { parents, attachments };
}

const noReadyListeners: Problem = {
  reason: reasons.NoReadyListeners,
  message: "Every listener that the route could attach to is refused: see the Gateway's status.",
};

interface Parent {
  readonly target: AttachTarget;
  readonly parentRef: ParentRef;
  /** The route's. */
  readonly namespace: ObjectTypes["Namespace"] | undefined;
}

function attachParent(
  { kind, route }: { readonly kind: AnyRouteKind; readonly route: AnyRoute },
  { target, parentRef, namespace }: Parent,
): readonly Attachment[] | Problem {
  const { served, listeners } = target;
  const named = listeners.filter(
    ({ listener }) =>
      (parentRef.sectionName ?? listener.name) === listener.name &&
      (parentRef.port ?? listener.port) === listener.port,
  );
  if (named.length === 0) {
    return {
      reason: reasons.NoMatchingParent,
      message:
        "The Gateway has no listener of that sectionName and port. Correct the parentRef, or add the listener.",
    };
  }
  const routeNamespace = route.metadata.namespace ?? "";
  const routeLabels = namespace?.metadata.labels ?? {};
  const open = named.filter(({ listener, supportedKinds }) => {
    const home = served.gateway.metadata.namespace ?? "";
    return (
      supportedKinds.some((one) => one.kind === kind) &&
      allowsNamespace(listener, { isSame: routeNamespace === home, labels: routeLabels })
    );
  });
  if (open.length === 0) {
    // A listener of a protocol that we don't speak takes no routes: the listener says why.
    if (named.every(({ refusal }) => refusal !== undefined)) return noReadyListeners;
    return {
      reason: reasons.NotAllowedByListeners,
      message: `The Gateway's listeners take no ${kind}s of namespace ${routeNamespace}. Allow them in allowedRoutes of a listener, or attach the route elsewhere.`,
    };
  }
  const written = (route.spec.hostnames ?? []).map(normalizeHost);
  const asked = written.length === 0 ? [anyHost] : written;
  // At a shared gateway nobody can answer for another service's name.
  const own =
    served.pooled === undefined ? asked : intersections(asked, served.pooled.hostnames.map(normalizeHost));
  const attachments = open.flatMap((listener): Attachment[] => {
    const hostnames = intersections(own, [listener.hostname]);
    return hostnames.length === 0 ? [] : [{ listener, hostnames }];
  });
  if (attachments.length > 0) return attachments;
  return {
    reason: reasons.NoMatchingListenerHostname,
    message:
      served.pooled === undefined
        ? "The route and the Gateway's listeners have no hostname in common. Change the hostnames of one of them."
        : "A generated Gateway carries only the names of its own service, and the route has none of them. Name one of these, or attach the route to a Gateway of your own.",
  };
}

interface RouteNamespace {
  readonly isSame: boolean;
  readonly labels: Readonly<Record<string, string>>;
}

function allowsNamespace(listener: GatewayListener, { isSame, labels }: RouteNamespace): boolean {
  const { from = "Same", selector } = listener.allowedRoutes?.namespaces ?? {};
  switch (from) {
    case "All":
      return true;
    case "Same":
      return isSame;
    case "Selector":
      return selector !== undefined && selects(selector, labels);
    default:
      return false;
  }
}

type Selector = NonNullable<
  NonNullable<NonNullable<GatewayListener["allowedRoutes"]>["namespaces"]>["selector"]
>;

/** A label selector as Kubernetes defines it; an operator that is not known selects nothing. */
function selects(selector: Selector, labels: Readonly<Record<string, string>>): boolean {
  const has = (key: string): boolean => Object.hasOwn(labels, key);
  const isOneOf = (key: string, values: readonly string[]): boolean =>
    has(key) && values.includes(labels[key] ?? "");
  return (
    Object.entries(selector.matchLabels ?? {}).every(([key, value]) => isOneOf(key, [value])) &&
    (selector.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
      switch (operator) {
        case "In":
          return isOneOf(key, values);
        case "NotIn":
          return !isOneOf(key, values);
        case "Exists":
          return has(key);
        case "DoesNotExist":
          return !has(key);
        default:
          return false;
      }
    })
  );
}
