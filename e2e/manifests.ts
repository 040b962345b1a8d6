/** Small manifests that scenarios change from claim to claim. */
import { annotations } from "../src/model/names.ts";
import type { Manifest } from "./mistake.ts";

interface At {
  readonly name: string;
  readonly namespace: string;
}

export const namespace = (name: string): Manifest => ({
  apiVersion: "v1",
  kind: "Namespace",
  metadata: { name },
});

export const wanPolicy = (name: string, spec: object): Manifest => ({
  apiVersion: "mc-wan.l7mp.io/v1alpha1",
  kind: "WANPolicy",
  metadata: { name },
  spec,
});

/** A Service; without a spec it leads to the Pods of `payment`. */
export const service = (at: At, spec?: object): Manifest => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: at,
  spec: spec ?? { selector: { app: "payment" }, ports: [{ name: "http", port: 8080, targetPort: "http" }] },
});

/** A ServiceExport; over the business tunnel if no policy is named. */
export const serviceExport = (at: At, policy = "sd-wan-priority-high"): Manifest => ({
  apiVersion: "multicluster.x-k8s.io/v1beta1",
  kind: "ServiceExport",
  metadata: { ...at, annotations: { [annotations.wanPolicy]: policy } },
});

/** An L7 ServiceImport with HTTP rules. */
export const rules = (at: At, list: readonly object[]): Manifest => ({
  apiVersion: "mc-wan.l7mp.io/v1alpha1",
  kind: "ServiceImport",
  metadata: at,
  spec: { http: { rules: list } },
});

/** A backendRef: the service itself over a policy. */
export const overPolicy = (name: string): object => ({ group: "mc-wan.l7mp.io", kind: "WANPolicy", name });
