/**
 * What translation found out → conditions of Gateways, listeners and routes. Programmed is not among them: it needs an
 * Envoy's word.
 *
 * Source: Gateway API, GatewayStatus, ListenerStatus, RouteParentStatus.
 */
import { reasons, types } from "../api/conditions.ts";
import type { ServedGateway } from "../model/desired.ts";
import type { GatewayVerdict, ListenerVerdict, RouteVerdict } from "../model/envoy-config.ts";
import type { RouteKind } from "../model/kinds.ts";
import type { Condition } from "../model/kube-object.ts";
import { messageOf } from "../model/problem.ts";
import type { Problem } from "../model/problem.ts";
import type { ParentOutcome } from "./attach.ts";
import { isServed } from "./listeners.ts";
import type { JudgedListener } from "./listeners.ts";
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
const noConflicts: Problem = { reason: reasons.NoConflicts, message: "No other listener is in its way." };

/** A listener with the number of routes that attached to it. */
export interface CountedListener {
  readonly judged: JudgedListener;
  readonly attachedRoutes: number;
}

export function gatewayVerdict(
  { gateway, refusal }: Pick<ServedGateway, "gateway" | "refusal">,
  listeners: readonly CountedListener[],
): GatewayVerdict {
  const say = about(gateway.metadata.generation);
  const refused = listeners.filter(({ judged }) => !isServed(judged));
  const problem: Problem = {
    reason: reasons.ListenersNotValid,
    message: `Not served: ${refused.map(({ judged }) => judged.listener.name).join(", ")}. See the conditions of these listeners.`,
  };
  const isAccepted = refusal === undefined && refused.length < listeners.length;
  return {
    conditions: [say(types.Accepted, isAccepted, refusal ?? (refused.length === 0 ? accepted : problem))],
    listeners: listeners.map((listener) => listenerVerdict(say, listener)),
  };
}

function listenerVerdict(say: Say, { judged, attachedRoutes }: CountedListener): ListenerVerdict {
  const { listener, supportedKinds, refusal, conflict, kindProblem } = judged;
  const isConflicted = conflict?.reason === reasons.HostnameConflict;
  return {
    name: listener.name,
    attachedRoutes,
    supportedKinds,
    conditions: [
      say(types.Accepted, isServed(judged), refusal ?? conflict ?? accepted),
      say(types.Conflicted, isConflicted, isConflicted ? conflict : noConflicts),
      say(types.ResolvedRefs, kindProblem === undefined, kindProblem ?? resolved),
    ],
  };
}

/** What a closed rule answers. */
const closedAnswer = { HTTPRoute: "500", GRPCRoute: "UNAVAILABLE" } as const satisfies Record<
  RouteKind,
  string
>;

/** Verdicts of a route at one Gateway, one for each parentRef that names it. */
export function routeVerdicts(
  parents: readonly ParentOutcome[],
  translated: TranslatedRoute,
): readonly RouteVerdict[] {
  const { kind, route, problems, isUsable, refProblems } = translated;
  const say = about(route.metadata.generation);
  const [first] = problems;
  const closed =
    first === undefined
      ? undefined
      : { reason: first.reason, message: `${messageOf(problems)} Requests get ${closedAnswer[kind]}.` };
  const [firstRef] = refProblems;
  const unresolved =
    firstRef === undefined
      ? undefined
      : {
          reason: firstRef.reason,
          message: `${messageOf(refProblems)} Its share of requests gets ${closedAnswer[kind]}.`,
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
