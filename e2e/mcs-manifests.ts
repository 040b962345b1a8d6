/** Manifests for claims about the Multi-Cluster Services API: the Service, Pods and exports of the official conformance suite. */
import type { Manifest } from "./mistake.ts";

/** Where the claims' services are. */
export const mcsNamespace = "mcs-claims";

/** A port of the suite's Service. */
export interface HelloPort {
  readonly name: string;
  readonly port: number;
  readonly protocol?: "TCP" | "UDP" | "SCTP";
}
/** The ports of the suite's Service. */
export const helloPorts: readonly HelloPort[] = [
  { name: "tcp", port: 42 },
  { name: "udp", port: 42, protocol: "UDP" },
];

const meta = (name: string): Manifest["metadata"] => ({ name, namespace: mcsNamespace });

/** A Service as the suite's: with affinity, traffic policies, and Pods labelled `app: <app>`. */
export const helloService = (
  name: string,
  {
    ports = helloPorts,
    app = name,
    ...spec
  }: { ports?: readonly HelloPort[]; app?: string; [field: string]: unknown } = {},
): Manifest => ({
  apiVersion: "v1",
  kind: "Service",
  // Nothing of this may be seen in an import.
  metadata: {
    ...meta(name),
    labels: { "not-exported": "label" },
    annotations: { "not-exported": "annotation" },
  },
  spec: {
    selector: { app },
    ports,
    sessionAffinity: "ClientIP",
    sessionAffinityConfig: { clientIP: { timeoutSeconds: 10 } },
    internalTrafficPolicy: "Cluster",
    trafficDistribution: "PreferClose",
    ipFamilyPolicy: "PreferDualStack",
    ...spec,
  },
});

/** What makes a Service headless. */
export const headless = {
  clusterIP: "None",
  sessionAffinity: "None",
  sessionAffinityConfig: undefined,
} as const;

/** An export; v1beta1 unless said otherwise. */
export const exportOf = (
  name: string,
  { version = "v1beta1", spec = {} }: { version?: "v1alpha1" | "v1beta1"; spec?: object } = {},
): Manifest => ({
  apiVersion: `multicluster.x-k8s.io/${version}`,
  kind: "ServiceExport",
  metadata: { ...meta(name), labels: { "not-exported": "too" }, annotations: { "not-exported": "too" } },
  spec,
});

/** The Pods of the suite's Service, which answer with `pod ip <address>` at each of the TCP ports. */
const helloTemplate = (app: string, ports: readonly number[]): object => ({
  metadata: { labels: { app } },
  spec: {
    terminationGracePeriodSeconds: 1,
    containers: ports.map((port) => ({
      name: `hello-${port}`,
      image: "alpine/socat",
      args: [`TCP-LISTEN:${port},crlf,reuseaddr,fork`, "SYSTEM:echo pod ip $(MY_POD_IP)"],
      env: [{ name: "MY_POD_IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } }],
    })),
  },
});

/** A Deployment of such Pods. */
export const helloDeployment = (
  name: string,
  { replicas = 1, ports = [42] }: { replicas?: number; ports?: readonly number[] } = {},
): Manifest => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: meta(name),
  spec: { replicas, selector: { matchLabels: { app: name } }, template: helloTemplate(name, ports) },
});

/** A StatefulSet of such Pods, for the headless Service of its name. */
export const helloStatefulSet = (name: string, replicas: number): Manifest => ({
  apiVersion: "apps/v1",
  kind: "StatefulSet",
  metadata: meta(name),
  spec: {
    serviceName: name,
    replicas,
    podManagementPolicy: "Parallel",
    selector: { matchLabels: { app: name } },
    template: helloTemplate(name, [42]),
  },
});

/** The Pod to ask from. */
export const requestPod: Manifest = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: meta("request"),
  spec: {
    terminationGracePeriodSeconds: 1,
    containers: [
      { name: "request", image: "nicolaka/netshoot", args: ["/bin/sh", "-ec", "while :; do sleep 5; done"] },
    ],
  },
};
