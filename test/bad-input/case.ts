/** What a row of the tables of bad input is, and the sound objects that stand beside it. For tests only. */
import type { KubeObject } from "../../src/model/kube-object.ts";
import { siteData } from "../fuzz/certificates.ts";

export const gatewayApi = "gateway.networking.k8s.io/v1";
export const namespace = "shop";

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
];
