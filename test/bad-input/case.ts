/** What a row of the tables of bad input is, and the sound objects that stand beside it. For tests only. */
import type { KubeObject } from "../../src/model/kube-object.ts";
import { siteData } from "../fuzz/certificates.ts";

export const gatewayApi = "gateway.networking.k8s.io/v1";
export const namespace = "shop";
const ours = "mc-wan.l7mp.io/v1alpha1";

/** An object as a person writes it; of namespace `shop` unless it says otherwise. */
export function written(
  [apiVersion, kind]: readonly [string, string],
  name: string,
  rest: object = {},
): KubeObject {
  const { metadata = {}, ...fields } = rest as { metadata?: object };
  return { apiVersion, kind, metadata: { name, namespace, ...metadata }, ...fields };
}

/** One mistake. */
export interface BadInput {
  readonly what: string;
  /** Created in this order; taken away afterwards. */
  readonly objects: readonly KubeObject[];
  /** In what the API server said, and in the status of the object `at`; by default of the last one. */
  readonly says: RegExp;
  readonly at?: string;
  /** Addresses behind the Service `odd`. */
  readonly endpoints?: readonly string[];
  /** Clusters of the egress gateways that requests to the imported service `payment` may end in. */
  readonly ways?: readonly string[];
}

export const route = (name: string, spec: object, metadata: object = {}): KubeObject =>
  written([gatewayApi, "HTTPRoute"], name, {
    metadata,
    spec: { parentRefs: [{ name: "web" }], hostnames: [`${name}.example.org`], ...spec },
  });

/** A route of one rule that leads to a Service. */
export const ruled = (name: string, rule: object = {}): KubeObject =>
  route(name, { rules: [{ backendRefs: [{ name: "good", port: 80 }], ...rule }] });

export const service = (name: string): KubeObject =>
  written(["v1", "Service"], name, { spec: { ports: [{ name: "http", port: 80 }] } });

export const slice = (of: string, suffix: string, rest: object = {}): KubeObject =>
  written(["discovery.k8s.io/v1", "EndpointSlice"], `${of}-${suffix}`, {
    metadata: { labels: { "kubernetes.io/service-name": of } },
    addressType: "IPv4",
    ports: [{ name: "http", port: 8080, protocol: "TCP" }],
    ...rest,
  });

export const secret = (name: string, data: object): KubeObject =>
  written(["v1", "Secret"], name, { type: "kubernetes.io/tls", data });

/** A WANPolicy; its tunnel has its name. */
export const policy = (name: string, port: number): KubeObject => ({
  apiVersion: ours,
  kind: "WANPolicy",
  metadata: { name },
  // The peer of these tests has no identity.
  spec: { tunnel: name, port, mode: "Plain" },
});

/** The rules of an imported service. */
export const rules = (name: string, ...list: readonly unknown[]): KubeObject =>
  written([ours, "ServiceImport"], name, { spec: { http: { rules: list } } });

/** A backend of a rule: the service over a policy. */
export const over = (name: string): object => ({ group: "mc-wan.l7mp.io", kind: "WANPolicy", name });

const heard = (kind: string, namespace: string, [name, spec]: readonly [string, object]): KubeObject =>
  written([ours, kind], name, { metadata: { namespace }, spec: { formatVersion: 1, ...spec } });
const exported = {
  type: "ClusterSetIP",
  exportTime: "2026-01-02T03:04:05Z",
  ports: [{ name: "http", protocol: "TCP", port: 8080 }],
  ipFamilies: ["IPv4"],
  pool: "mc-wan-ingress",
  readyBackends: [{ zone: "a", count: 1 }],
  wanPolicy: "high",
};

/** A cluster that exports two services. */
export const peer = {
  id: "east",
  state: "Synced",
  objects: [
    policy("high", 31111),
    policy("low", 31112),
    heard("ServiceAdvertisement", namespace, ["payment", exported]),
    heard("ServiceAdvertisement", namespace, ["stats", exported]),
    heard("GatewayAdvertisement", "mc-wan-system", [
      "mc-wan-ingress",
      { mode: "PodIP", endpoints: [{ address: "198.18.2.2", ports: { high: 31111, low: 31112 } }] },
    ]),
  ],
} as const;

/** What has to go on, whatever stands beside it. */
export const sound: readonly KubeObject[] = [
  {
    apiVersion: gatewayApi,
    kind: "GatewayClass",
    metadata: { name: "mc-wan" },
    spec: { controllerName: "mc-wan.l7mp.io/gateway-controller" },
  },
  secret("site", siteData),
  written([gatewayApi, "Gateway"], "web", {
    spec: {
      gatewayClassName: "mc-wan",
      listeners: [
        { name: "http", port: 80, protocol: "HTTP", allowedRoutes: { namespaces: { from: "All" } } },
        { name: "https", port: 443, protocol: "HTTPS", tls: { certificateRefs: [{ name: "site" }] } },
      ],
    },
  }),
  service("good"),
  slice("good", "x", { endpoints: [{ addresses: ["198.18.1.10"] }] }),
  ruled("good"),
  policy("high", 31111),
  policy("low", 31112),
  rules("stats", { backendRefs: [over("low")] }),
];
