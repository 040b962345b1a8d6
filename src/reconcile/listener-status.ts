/** Statuses of listeners, in a Gateway and in its ListenerSets: what translation found out, and whether the Gateway is programmed. */
import { reasons, types } from "../api/conditions.ts";
import type { DesiredStatus } from "../model/desired.ts";
import type { ListenerSetVerdict, ListenerVerdict } from "../model/envoy-config.ts";
import type { Condition } from "../model/kube-object.ts";
import { condition, type Finding } from "./conditions.ts";

/** Said of what is not accepted. */
export const notAccepted: Finding = {
  status: "False",
  reason: reasons.Invalid,
  message: "What is not accepted is not programmed: see the condition Accepted.",
};

/** The entries of status.listeners; `said` is what holds of all that are accepted. */
export function listenerStatuses(
  listeners: readonly ListenerVerdict[],
  said: Finding,
  generation: number | undefined,
): readonly object[] {
  return listeners.map(({ name, attachedRoutes, supportedKinds, isServed, conditions }) => ({
    name,
    attachedRoutes,
    supportedKinds,
    conditions: [
      ...conditions.map((words) => observed(words, generation)),
      condition(types.Programmed, programmedAt({ conditions, isServed }, said), generation),
    ],
  }));
}

const notServed: Finding = {
  status: "False",
  reason: reasons.Invalid,
  message: "It has no certificate that can be used: see ResolvedRefs.",
};

/** Programmed of a listener: as the Gateway's, if it can be served at all. */
function programmedAt(
  { conditions, isServed }: Pick<ListenerVerdict, "conditions" | "isServed">,
  said: Finding,
): Finding {
  if (isTrue(conditions, types.Accepted)) return isServed ? said : notServed;
  const conflict = conditions.find(({ type, status }) => type === types.Conflicted && status === "True");
  return conflict === undefined ? notAccepted : { ...notAccepted, reason: conflict.reason };
}

/** The status of a ListenerSet beside that of its Gateway. */
export function listenerSetStatus(
  key: string,
  { accepted, listeners }: ListenerSetVerdict,
  gateway: DesiredStatus | undefined,
): DesiredStatus {
  const generation = accepted.observedGeneration;
  const said = programmed(accepted, gateway);
  const isAllowed = accepted.reason !== reasons.NotAllowed;
  return {
    kind: "ListenerSet",
    key,
    form: "Conditions",
    conditions: [accepted, condition(types.Programmed, said, generation)],
    fields: isAllowed ? { listeners: listenerStatuses(listeners, said, generation) } : {},
  };
}

function programmed(accepted: Condition, gateway: DesiredStatus | undefined): Finding {
  if (accepted.status !== "True") return { ...notAccepted, reason: accepted.reason };
  const conditions = gateway?.form === "Conditions" ? gateway.conditions : [];
  if (isTrue(conditions, types.Programmed)) {
    return { status: "True", reason: reasons.Programmed, message: "The Gateway is programmed." };
  }
  const message = "The Gateway is not programmed: see its conditions.";
  return { status: "False", reason: reasons.ParentNotProgrammed, message };
}

/** Whether a condition holds. */
export const isTrue = (conditions: readonly Condition[], type: string): boolean =>
  conditions.some((known) => known.type === type && known.status === "True");

/** A condition of translation with the generation that stands: translation sees what reconcile wants, which has none yet. */
export function observed(
  { type, status, reason, message }: Condition,
  generation: number | undefined,
): Condition {
  return condition(type, { status, reason, message }, generation);
}
