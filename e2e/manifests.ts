/** Small manifests that scenarios change from claim to claim. */
import { annotations, gatewayClassName } from "../src/model/names.ts";
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

/** A Deployment of `mcwan echo` with Pods of label `app: <name>`, two unless said otherwise. */
export const echo = (at: At, replicas = 2): Manifest => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: at,
  spec: {
    replicas,
    selector: { matchLabels: { app: at.name } },
    template: {
      metadata: { labels: { app: at.name } },
      spec: {
        automountServiceAccountToken: false,
        containers: [
          {
            name: "echo",
            image: "ghcr.io/l7mp/mc-wan:0.1.0",
            args: ["echo", "--port", "8080", "--drain-ms", "5000"],
            env: [
              { name: "NODE_NAME", valueFrom: { fieldRef: { fieldPath: "spec.nodeName" } } },
              { name: "POD_NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
            ],
            ports: [{ name: "http", containerPort: 8080 }],
            readinessProbe: {
              httpGet: { path: "/readyz", port: "http" },
              periodSeconds: 1,
              failureThreshold: 1,
            },
          },
        ],
      },
    },
  },
});

/** A Deployment of one Pod to send requests from, as the examples' clients. */
export const client = (at: At): Manifest => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: at,
  spec: {
    replicas: 1,
    selector: { matchLabels: { app: at.name } },
    template: {
      metadata: { labels: { app: at.name } },
      spec: {
        automountServiceAccountToken: false,
        terminationGracePeriodSeconds: 5,
        containers: [{ name: "client", image: "ghcr.io/l7mp/mc-wan:0.1.0", args: ["probe", "--idle"] }],
      },
    },
  },
});

/** A Gateway of class mc-wan with one HTTP listener. */
export const gateway = (at: At, port: number): Manifest => ({
  apiVersion: "gateway.networking.k8s.io/v1",
  kind: "Gateway",
  metadata: at,
  spec: { gatewayClassName, listeners: [{ name: "http", protocol: "HTTP", port }] },
});

/** An HTTPRoute at a Gateway of its namespace. */
export const httpRoute = (
  at: At,
  spec: {
    readonly gateway: string;
    readonly hostnames: readonly string[];
    readonly rules: readonly object[];
  },
): Manifest => ({
  apiVersion: "gateway.networking.k8s.io/v1",
  kind: "HTTPRoute",
  metadata: at,
  spec: { parentRefs: [{ name: spec.gateway }], hostnames: spec.hostnames, rules: spec.rules },
});
