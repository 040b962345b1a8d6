/** WANPolicy: a named SD-WAN priority level, the same in every cluster. Schema: crds/wanpolicies.mc-wan.l7mp.io.yaml. */
import type { Problem } from "../model/problem.ts";
import { reasons } from "./conditions.ts";
import { apiVersion, parserOf } from "./custom-object.ts";
import type { CustomObject, Parsed } from "./custom-object.ts";
import type { WANPolicySpec, WANPolicyStatus } from "./generated/wan-policy.ts";
import { schema } from "./generated/wan-policy-schema.ts";

/** Ties a tunnel of the SD-WAN to a destination port. Cluster-scoped. */
export type WANPolicy = CustomObject<typeof apiVersion, "WANPolicy", WANPolicySpec, WANPolicyStatus>;

/** How gateways speak to each other at a port. */
export type WANPolicyMode = "MutualTLS" | "Plain";

/** The mode of a policy; what says nothing means what the CRD fills in. */
export const modeOf = ({ spec }: Pick<WANPolicy, "spec">): WANPolicyMode => spec.mode ?? "MutualTLS";

/** Ports that an Envoy of ours, or of a mesh, listens on for itself; the CRD's CEL rule holds the same list. */
const gatewayOwnPorts: ReadonlySet<number> = new Set([
  9901, 15000, 15001, 15006, 15021, 15090, 18000, 19000, 19001,
]);

/** Whether gateways may listen on a port for a policy: 1024-19999 or 30000-65535 without Envoy's own. */
export function isPolicyPort(port: number): boolean {
  const inRange = (port >= 1024 && port <= 19999) || (port >= 30000 && port <= 65535);
  return inRange && !gatewayOwnPorts.has(port);
}

/** The CEL rules of the CRD, for objects that did not come from our own API server. */
function check({ metadata, spec }: WANPolicy): Problem[] {
  const problems: Problem[] = [];
  if (!/^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$/.test(metadata.name)) {
    problems.push({
      reason: reasons.Invalid,
      message: `The name ${JSON.stringify(metadata.name)} is not a DNS label of at most 40 characters: rename the WANPolicy.`,
    });
  }
  if (!isPolicyPort(spec.port)) {
    problems.push({
      reason: reasons.Invalid,
      message: `spec.port ${spec.port} is not within 1024-19999 or 30000-65535, or is one that gateways use themselves: choose another one, as 31111.`,
    });
  }
  return problems;
}

/** A WANPolicy from outside, or all that is wrong with it. */
export const parseWANPolicy: (input: unknown) => Parsed<WANPolicy> = parserOf<WANPolicy>({
  apiVersions: [apiVersion],
  kind: "WANPolicy",
  schema,
  check,
});
