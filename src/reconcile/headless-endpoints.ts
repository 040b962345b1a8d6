/**
 * Which Pods of an exported headless service peers are told of. Clients connect to these past the gateways, in plain text and
 * over whatever tunnel: that must not happen unasked to a service whose policy asks for mutual TLS, or whose policy can't
 * be told.
 */
import { reasons } from "../api/conditions.ts";
import type { AdvertisedEndpoint } from "../api/service-advertisement.ts";
import { modeOf } from "../api/wan-policy.ts";
import { annotations } from "../model/names.ts";
import type { Problem } from "../model/problem.ts";
import type { PolicyChoice, PolicySet } from "./wan-policies.ts";

/** Schema of the ServiceAdvertisement. */
const maxEndpoints = 1000;

const remedy = `Export it with a cluster IP, or, if that is what you want, annotate the ServiceExport ${annotations.unclassified}: allow.`;

/** What peers are told, and why some or all is left out. */
export interface ToldEndpoints {
  readonly endpoints: readonly AdvertisedEndpoint[];
  readonly problems: readonly Problem[];
}

/** Of all endpoints of a headless service those that peers are told of; `exportAnnotations` are its ServiceExport's. */
export function toldEndpoints(
  all: readonly AdvertisedEndpoint[],
  exportAnnotations: Readonly<Record<string, string>>,
  { choice, policies }: { readonly choice: PolicyChoice; readonly policies: PolicySet },
): ToldEndpoints {
  const why =
    exportAnnotations[annotations.unclassified] === "allow" ? undefined : withheld(choice, policies);
  if (why !== undefined) {
    const message = `Peers are told of no endpoints: clients would connect to the pods of a headless service past the gateways, and ${why}. ${remedy}`;
    return { endpoints: [], problems: [{ reason: reasons.EndpointsWithheld, message }] };
  }
  if (all.length <= maxEndpoints) return { endpoints: all, problems: [] };
  const message = `Peers are told of the first ${maxEndpoints} of ${all.length} endpoints only. Split the Service into several, or export it with a cluster IP.`;
  return {
    endpoints: all.slice(0, maxEndpoints),
    problems: [{ reason: reasons.TooManyEndpoints, message }],
  };
}

/** What the policy that holds for the export would forbid; undefined where nothing asks for mutual TLS. */
function withheld(choice: PolicyChoice, { accepted }: PolicySet): string | undefined {
  if ("problem" in choice) {
    return choice.problem.reason === reasons.NoPolicy
      ? undefined
      : "it can't be told what its policy asks for";
  }
  const policy = accepted.get(choice.policy);
  return policy !== undefined && modeOf(policy) === "MutualTLS"
    ? `its WANPolicy "${choice.policy}" asks for mutual TLS`
    : undefined;
}
