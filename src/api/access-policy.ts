/**
 * AccessPolicy: who of other clusters may call what of an exported service. Schema: crds/accesspolicies.mc-wan.l7mp.io.yaml.
 * Attached to ServiceExports as Gateway API attaches policies (GEP-713, direct).
 */
import type { apiVersion, CustomObject } from "./custom-object.ts";
import type { AccessPolicySpec, AccessPolicyStatus } from "./generated/access-policy.ts";

export type { AccessClient, AccessRequest, AccessRule } from "./generated/access-policy.ts";

/** Namespaced; for ServiceExports of its own namespace. */
export type AccessPolicy = CustomObject<
  typeof apiVersion,
  "AccessPolicy",
  AccessPolicySpec,
  AccessPolicyStatus
>;
