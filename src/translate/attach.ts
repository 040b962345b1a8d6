/**
 * Which routes attach to which listeners, and with which hostnames.
 *
 * Source: Gateway API, ParentReference, AllowedRoutes, hostnames of HTTPRouteSpec, GRPCRouteSpec and TLSRouteSpec.
 */
import { reasons } from "../api/conditions.ts";
import type { ServedGateway } from "../model/desired.ts";
import type { AnyRouteKind, ObjectTypes } from "../model/kinds.ts";
import { allowsNamespace } from "../model/label-selector.ts";
import { labels } from "../model/names.ts";
import type { Problem } from "../model/problem.ts";
import type { AnyRoute, ParentRef } from "./gateway-api.ts";
import { anyHost, intersections, normalizeHost } from "./hosts.ts";
import { isAccepted } from "./judged-listener.ts";
import type { JudgedListener } from "./judged-listener.ts";
import { parentKeysOf, parentOf } from "./parents.ts";
import type { ParentKey } from "./parents.ts";

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
  readonly served: Pick<ServedGateway, "gateway" | "pooled" | "listenerSets">;
  readonly listeners: readonly JudgedListener[];
}

/** Attaches a route, of the given namespace, to a Gateway that at least one of its parentRefs names. */
export function attach(
  { kind, route }: { readonly kind: AnyRouteKind; readonly route: AnyRoute },
  target: AttachTarget,
  namespace: ObjectTypes["Namespace"] | undefined,
): Attached {
  const keys = new Set(parentKeysOf(target.served));
  const parents: ParentOutcome[] = [];
  const attached = new Map<JudgedListener, Attachment>();
  for (const parentRef of route.spec.parentRefs ?? []) {
    const parent = parentOf(parentRef, route);
    if (parent === undefined || !keys.has(parent)) continue;
    const found = attachParent({ kind, route }, { target, parent, parentRef, namespace });
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

/** Among TCPRoutes that we are given only those that mc-wan made itself have its label. */
const isOurs = ({ metadata }: AnyRoute): boolean =>
  metadata.labels?.[labels.managedBy] === labels.managedByValue;

interface Parent {
  readonly target: AttachTarget;
  readonly parent: ParentKey;
  readonly parentRef: ParentRef;
  /** The route's. */
  readonly namespace: ObjectTypes["Namespace"] | undefined;
}

function attachParent(
  { kind, route }: { readonly kind: AnyRouteKind; readonly route: AnyRoute },
  { target, parent, parentRef, namespace }: Parent,
): readonly Attachment[] | Problem {
  const { served, listeners } = target;
  const named = listeners.filter(
    ({ listener, owner }) =>
      owner === parent &&
      (parentRef.sectionName ?? listener.name) === listener.name &&
      (parentRef.port ?? listener.port) === listener.port,
  );
  if (named.length === 0) {
    return {
      reason: reasons.NoMatchingParent,
      message:
        "The parent has no listener of that sectionName and port. Correct the parentRef, or add the listener.",
    };
  }
  const routeNamespace = route.metadata.namespace ?? "";
  const routeLabels = namespace?.metadata.labels ?? {};
  const isForeign = kind === "TCPRoute" && served.pooled !== undefined && !isOurs(route);
  const open = named.filter(({ listener, namespace: home, supportedKinds }) => {
    // A connection says no name: who had the port would have the service's clients.
    if (isForeign) return false;
    const { from = "Same", selector } = listener.allowedRoutes?.namespaces ?? {};
    const asking = { isSame: routeNamespace === home, labels: routeLabels };
    return supportedKinds.some((one) => one.kind === kind) && allowsNamespace({ from, selector }, asking);
  });
  if (open.length === 0) {
    // A listener of a protocol that we don't speak takes no routes: the listener says why.
    if (named.every(({ refusal }) => refusal !== undefined)) return noReadyListeners;
    return {
      reason: reasons.NotAllowedByListeners,
      message: `The Gateway's listeners take no ${kind}s of namespace ${routeNamespace}. Allow them in allowedRoutes of a listener, or attach the route elsewhere.`,
    };
  }
  const written = ("hostnames" in route.spec ? (route.spec.hostnames ?? []) : []).map(normalizeHost);
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
