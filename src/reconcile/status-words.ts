/** Words that the conditions of several kinds share. */
import { reasons, types } from "../api/conditions.ts";
import { condition, unless, type Finding } from "./conditions.ts";
import type { Condition } from "../model/kube-object.ts";
import type { ServiceAdvertisementSpec } from "../api/service-advertisement.ts";
import type { PolicyChoice } from "./wan-policies.ts";

/** Objects that are somebody else's, as a person is told of them. */
export const notOurs = (foreign: readonly string[]): string =>
  `${foreign.join(", ")} ${foreign.length === 1 ? "is" : "are"} not mc-wan's, and left alone. Rename or delete what stands there.`;

/** Which names hold where an older export has the plain ones; empty if none does. */
export const renamedWords = (renamed: readonly string[]): string =>
  renamed.length === 0
    ? ""
    : ` An older export holds the plain names of its dummy Services; they are called ${renamed.join(", ")}.`;

/** Whether traffic travels over the policy that was asked for. */
export function classified(headless: boolean, choice: PolicyChoice): Finding {
  if (headless) {
    return {
      status: "False",
      reason: reasons.Headless,
      message:
        "Clients connect to the pods of a headless service past the gateways: no WANPolicy can be applied. Export a Service with a cluster IP if it needs one.",
    };
  }
  return unless("problem" in choice ? [choice.problem] : [], {
    status: "True",
    reason: reasons.Classified,
    message: `WANPolicy "${"policy" in choice ? choice.policy : ""}" holds where no rule says otherwise.`,
  });
}

/** What becomes of session affinity that the exporting Service asks for; nothing where it asks for none. */
export function affinityConditions(
  service: Pick<ServiceAdvertisementSpec, "sessionAffinity" | "sessionAffinityConfig" | "type">,
  { isOurs, generation }: { readonly isOurs: boolean; readonly generation: number | undefined },
): Condition[] {
  const { sessionAffinity = "None" } = service;
  if (sessionAffinity === "None" || service.type === "Headless") return [];
  const finding = isOurs
    ? byClientAddress(service.sessionAffinityConfig?.clientIP?.timeoutSeconds)
    : ({
        status: "False",
        reason: reasons.AffinityNotApplied,
        message: `Gateways do not keep clients of other clusters with one backend: the Service's session affinity ${sessionAffinity} holds inside its own cluster only. Keep what clients need between requests outside of the backends, or set sessionAffinity: None on the Service.`,
      } as const);
  return [condition(types.AffinityApplied, finding, generation)];
}

function byClientAddress(timeoutSeconds: number | undefined): Finding {
  const kept = "Gateways keep a client with one cluster and one Pod by a hash of its address.";
  const timeout =
    timeoutSeconds === undefined
      ? ""
      : ` timeoutSeconds (${timeoutSeconds}) is not followed: nothing is remembered that could end, a client moves only when its Pod or cluster goes or others come.`;
  return { status: "True", reason: reasons.ByClientAddress, message: kept + timeout };
}
