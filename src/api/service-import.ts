/**
 * ServiceImport (mc-wan.l7mp.io): a consumer's L7 rules for an imported service, by the same name in the same namespace.
 * Schema: crds/serviceimports.mc-wan.l7mp.io.yaml. Not the MCS ServiceImport, which is in multicluster.ts.
 */
import { apiVersion, parserOf } from "./custom-object.ts";
import type { CustomObject, Parsed } from "./custom-object.ts";
import type { ServiceImportSpec, ServiceImportStatus } from "./generated/service-import.ts";
import { schema } from "./generated/service-import-schema.ts";

export type {
  HTTPBackendRef,
  HTTPFilter,
  HTTPHeaderFilter,
  HTTPMatch,
  HTTPRule,
} from "./generated/service-import.ts";

/** L7 rules of an imported service. A request that no rule matches is denied. */
export type ServiceImport = CustomObject<
  typeof apiVersion,
  "ServiceImport",
  ServiceImportSpec,
  ServiceImportStatus
>;

/** A ServiceImport from outside, or all that is wrong with it. Defaults of the CRD are not filled in. */
export const parseServiceImport: (input: unknown) => Parsed<ServiceImport> = parserOf<ServiceImport>({
  apiVersions: [apiVersion],
  kind: "ServiceImport",
  schema,
});
