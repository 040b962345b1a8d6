/**
 * What translation found out → conditions of Gateways, listeners and routes. Programmed is not among them: it needs an
 * Envoy's word.
 *
 * Source: Gateway API, GatewayStatus, ListenerStatus, RouteParentStatus.
 */
import { reasons, types } from "../api/conditions.ts";
import type { ServedGateway, ServedListenerSet } from "../model/desired.ts";
import type {
  GatewayVerdict,
  ListenerSetVerdict,
  ListenerVerdict,
  RouteVerdict,
} from "../model/envoy-config.ts";
import type { AnyRouteKind } from "../model/kinds.ts";
import { keyOf } from "../model/kube-object.ts";
import type { Condition } from "../model/kube-object.ts";
import { messageOf } from "../model/problem.ts";
import type { Problem } from "../model/problem.ts";
import type { ParentOutcome } from "./attach.ts";
import type { GatewayTls } from "./gateway-tls.ts";
import { isAccepted, isServed } from "./judged-listener.ts";
import type { AnyRoute } from "./gateway-api.ts";
import type { JudgedListener } from "./judged-listener.ts";
import type { TranslatedRoute } from "./routes.ts";

/** One condition for one generation of an object. */
type Say = (type: string, status: boolean, problemOrReason: Problem) => Condition;

function about(generation: number | undefined): Say {
  return (type, status, { reason, message }) => ({
    type,
    status: status ? "True" : "False",
    reason,
    message,
    ...(generation === undefined ? {} : { observedGeneration: generation }),
  });
}

const accepted: Problem = { reason: reasons.Accepted, message: "Understood and taken up." };
const resolved: Problem = { reason: reasons.ResolvedRefs, message: "Every reference is in order." };
const insecure: Problem = {
  reason: reasons.ConfigurationChanged,
  message: "Some listener lets clients in that show no valid certificate (AllowInsecureFallback).",
};
const noConflicts: Problem = { reason: reasons.NoConflicts, message: "No other listener is in its way." };

/** A listener with the number of routes that attached to it. */
export interface CountedListener {
  readonly judged: JudgedListener;
  readonly attachedRoutes: number;
}

/** What was found out about a Gateway beside its listeners. */
export interface GatewayFindings {
  readonly tls: GatewayTls;
  /** Undefined where no ListenerSet asks. */
  readonly attachedListenerSets: number | undefined;
}

export function gatewayVerdict(
  { gateway, refusal }: Pick<ServedGateway, "gateway" | "refusal">,
  listeners: readonly CountedListener[],
  { tls: { client, isInsecure }, attachedListenerSets }: GatewayFindings,
): GatewayVerdict {
  const say = about(gateway.metadata.generation);
  const refused = listeners.filter(({ judged }) => !isAccepted(judged));
  const problem: Problem = {
    reason: reasons.ListenersNotValid,
    message: `Not served: ${refused.map(({ judged }) => judged.listener.name).join(", ")}. See the conditions of these listeners.`,
  };
  const isTaken = refusal === undefined && refused.length < listeners.length;
  return {
    conditions: [
      say(types.Accepted, isTaken, refusal ?? (refused.length === 0 ? accepted : problem)),
      ...(client === undefined
        ? []
        : [say(types.ResolvedRefs, !("reason" in client), "reason" in client ? client : resolved)]),
      ...(isInsecure ? [say(types.InsecureFrontendValidationMode, true, insecure)] : []),
    ],
    listeners: listeners.map((listener) => listenerVerdict(say, listener)),
    ...(attachedListenerSets === undefined ? {} : { attachedListenerSets }),
  };
}

/** The verdict of a ListenerSet, with its listeners as the Gateway has them. */
export function listenerSetVerdict(
  served: ServedListenerSet,
  { gateway, refusal }: Pick<ServedGateway, "gateway" | "refusal">,
  listeners: readonly CountedListener[],
): ListenerSetVerdict {
  const say = about(served.set.metadata.generation);
  // One without a certificate that it may use counts too: a set of which nothing is served is not accepted.
  const refused = listeners.filter(({ judged }) => !isAccepted(judged) || !isServed(judged));
  const isTaken = served.isAllowed && refusal === undefined && refused.length < listeners.length;
  const problem = listenerSetProblem(served, { isRefused: refusal !== undefined, refused });
  return {
    gateway: keyOf(gateway.metadata),
    accepted: say(types.Accepted, isTaken, problem ?? accepted),
    listeners: listeners.map((listener) => listenerVerdict(say, listener)),
  };
}

function listenerSetProblem(
  { isAllowed }: ServedListenerSet,
  { isRefused, refused }: { readonly isRefused: boolean; readonly refused: readonly CountedListener[] },
): Problem | undefined {
  if (!isAllowed) {
    const message =
      "The Gateway takes no listeners of this namespace: let its owner allow it in spec.allowedListeners.";
    return { reason: reasons.NotAllowed, message };
  }
  if (isRefused)
    return {
      reason: reasons.ParentNotAccepted,
      message: "The Gateway is not accepted: see its conditions.",
    };
  if (refused.length === 0) return undefined;
  const names = refused.map(({ judged }) => judged.listener.name).join(", ");
  return {
    reason: reasons.ListenersNotValid,
    message: `Not served: ${names}. See the conditions of these listeners.`,
  };
}

function listenerVerdict(say: Say, { judged, attachedRoutes }: CountedListener): ListenerVerdict {
  const { listener, supportedKinds, refusal, conflict, kindProblem, overlap, tls } = judged;
  const isConflicted =
    conflict?.reason === reasons.HostnameConflict || conflict?.reason === reasons.ProtocolConflict;
  const problems = [...(kindProblem ? [kindProblem] : []), ...(tls?.problems ?? [])];
  const [first] = problems;
  const unresolved = first && { reason: first.reason, message: messageOf(problems) };
  return {
    name: listener.name,
    attachedRoutes,
    supportedKinds,
    isServed: isServed(judged),
    conditions: [
      say(types.Accepted, isAccepted(judged), refusal ?? conflict ?? accepted),
      say(types.Conflicted, isConflicted, isConflicted ? conflict : noConflicts),
      say(types.ResolvedRefs, unresolved === undefined, unresolved ?? resolved),
      ...(overlap ? [say(types.OverlappingTLSConfig, true, overlap)] : []),
    ],
  };
}

/** What becomes of requests for which a route leads nowhere. */
const closedAnswer = {
  HTTPRoute: { all: "Requests get 500.", share: "Its share of requests gets 500." },
  GRPCRoute: { all: "Requests get UNAVAILABLE.", share: "Its share of requests gets UNAVAILABLE." },
  TCPRoute: { all: "Connections are closed.", share: "Its share of connections is closed." },
  TLSRoute: { all: "Connections are closed.", share: "Its share of connections is closed." },
} as const satisfies Record<AnyRouteKind, { readonly all: string; readonly share: string }>;

/** Verdicts of a route at one Gateway, one for each parentRef that names it. */
export function routeVerdicts(
  parents: readonly ParentOutcome[],
  translated: Pick<TranslatedRoute, "problems" | "isUsable" | "refProblems"> & {
    readonly kind: AnyRouteKind;
    readonly route: AnyRoute;
  },
): readonly RouteVerdict[] {
  const { kind, route, problems, isUsable, refProblems } = translated;
  const say = about(route.metadata.generation);
  const [first] = problems;
  const closed =
    first === undefined
      ? undefined
      : { reason: first.reason, message: `${messageOf(problems)} ${closedAnswer[kind].all}` };
  const [firstRef] = refProblems;
  const unresolved =
    firstRef === undefined
      ? undefined
      : {
          reason: firstRef.reason,
          message: `${messageOf(refProblems)} ${closedAnswer[kind].share}`,
        };
  return parents.map(({ parentRef, problem }) => {
    const refusal = problem ?? (isUsable ? undefined : closed);
    const isPartial = refusal === undefined && closed !== undefined;
    return {
      parentRef,
      conditions: [
        say(types.Accepted, refusal === undefined, refusal ?? accepted),
        say(types.ResolvedRefs, unresolved === undefined, unresolved ?? resolved),
        ...(isPartial
          ? [say(types.PartiallyInvalid, true, { ...closed, reason: reasons.UnsupportedValue })]
          : []),
      ],
    };
  });
}
