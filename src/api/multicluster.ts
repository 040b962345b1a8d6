/**
 * Kinds of the cluster set that others define and mc-wan speaks: ServiceExport and ServiceImport of the MCS API
 * (KEP-1645, mcs-api v0.5.2) and ClusterProperty of the About API (KEP-2149).
 *
 * Only the fields that mc-wan reads or writes. Both served versions of the MCS API have the same fields.
 */
import type { Condition } from "../model/kube-object.ts";
import type { ObjectMeta } from "../model/kube-object.ts";
import { parserOf } from "./custom-object.ts";
import type { CustomObject, Parsed } from "./custom-object.ts";

const mcsVersions = ["multicluster.x-k8s.io/v1beta1", "multicluster.x-k8s.io/v1alpha1"] as const;
type McsVersion = (typeof mcsVersions)[number];

/** What a service owner exports beside the Service itself. */
interface ServiceExportSpec {
  readonly exportedLabels?: Readonly<Record<string, string>>;
  readonly exportedAnnotations?: Readonly<Record<string, string>>;
}

/** Exports the Service of the same name and namespace to the cluster set. */
export type ServiceExport = Readonly<{
  apiVersion: McsVersion;
  kind: "ServiceExport";
  metadata: ObjectMeta;
  spec?: ServiceExportSpec;
  status?: { readonly conditions?: readonly Condition[] };
}>;

/** One port of an imported service. */
export interface McsServicePort {
  readonly name?: string;
  readonly protocol?: "TCP" | "UDP" | "SCTP";
  readonly appProtocol?: string;
  readonly port: number;
}

/** The merged properties of all exports of a service. */
export interface McsServiceImportSpec {
  readonly type: "ClusterSetIP" | "Headless";
  readonly ports: readonly McsServicePort[];
  /** At most one per family; in the order of ipFamilies. Empty if Headless. */
  readonly ips?: readonly string[];
  readonly ipFamilies?: readonly ("IPv4" | "IPv6")[];
  readonly sessionAffinity?: "None" | "ClientIP";
  readonly sessionAffinityConfig?: { readonly clientIP?: { readonly timeoutSeconds?: number } };
  readonly internalTrafficPolicy?: "Cluster" | "Local";
  readonly trafficDistribution?: string;
}

interface McsServiceImportStatus {
  /** Exporting clusters. */
  readonly clusters?: readonly { readonly cluster: string }[];
  readonly conditions?: readonly Condition[];
  /** Whether EndpointSlices with the MCS labels stand beside the import (KEP-1645 asks implementations to say so). */
  readonly endpointSliceObjects?: "Present" | "Absent";
}

/** The ServiceImport of the MCS API, which mc-wan writes and users only read. */
export type McsServiceImport = CustomObject<
  McsVersion,
  "ServiceImport",
  McsServiceImportSpec,
  McsServiceImportStatus
>;

/** A fact about the cluster; `cluster.clusterset.k8s.io` holds its id. Cluster-scoped. */
export type ClusterProperty = CustomObject<
  "about.k8s.io/v1alpha1" | "about.k8s.io/v1",
  "ClusterProperty",
  { readonly value: string },
  never
>;

const stringMap = { type: "object", additionalProperties: { type: "string" } };
const conditions = {
  type: "array",
  items: {
    type: "object",
    required: ["type", "status"],
    properties: { type: { type: "string" }, status: { enum: ["True", "False", "Unknown"] } },
  },
};

/** A ServiceExport from outside, or all that is wrong with it. */
export const parseServiceExport: (input: unknown) => Parsed<ServiceExport> = parserOf<ServiceExport>({
  apiVersions: mcsVersions,
  kind: "ServiceExport",
  schema: {
    type: "object",
    properties: {
      spec: { type: "object", properties: { exportedLabels: stringMap, exportedAnnotations: stringMap } },
      status: { type: "object", properties: { conditions } },
    },
  },
});

/** An MCS ServiceImport from outside, or all that is wrong with it. */
export const parseMcsServiceImport: (input: unknown) => Parsed<McsServiceImport> = parserOf<McsServiceImport>(
  {
    apiVersions: mcsVersions,
    kind: "ServiceImport",
    schema: {
      type: "object",
      required: ["spec"],
      properties: {
        spec: {
          type: "object",
          required: ["type", "ports"],
          properties: {
            type: { enum: ["ClusterSetIP", "Headless"] },
            ports: {
              type: "array",
              items: {
                type: "object",
                required: ["port"],
                properties: {
                  name: { type: "string" },
                  protocol: { enum: ["TCP", "UDP", "SCTP"] },
                  appProtocol: { type: "string" },
                  port: { type: "integer", minimum: 1, maximum: 65535 },
                },
              },
            },
            ips: { type: "array", items: { type: "string" } },
            ipFamilies: { type: "array", items: { enum: ["IPv4", "IPv6"] } },
          },
        },
        status: {
          type: "object",
          properties: {
            clusters: {
              type: "array",
              items: { type: "object", required: ["cluster"], properties: { cluster: { type: "string" } } },
            },
            conditions,
          },
        },
      },
    },
  },
);

/** A ClusterProperty from outside, or all that is wrong with it. */
export const parseClusterProperty: (input: unknown) => Parsed<ClusterProperty> = parserOf<ClusterProperty>({
  apiVersions: ["about.k8s.io/v1alpha1", "about.k8s.io/v1"],
  kind: "ClusterProperty",
  schema: {
    type: "object",
    required: ["spec"],
    properties: {
      spec: { type: "object", required: ["value"], properties: { value: { type: "string", minLength: 1 } } },
    },
  },
});
