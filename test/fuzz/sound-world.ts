/**
 * A world in which everything is as it should be: services at home and at a peer, policies, gateways that listen. Random
 * worlds take things out of it, and put others in their place: from nothing, hardly any would lead a request anywhere.
 */
import type { KubeObject } from "../../src/model/kube-object.ts";
import { authorityData, siteData } from "./certificates.ts";
import { namespaces, objectOf } from "./names.ts";

const ours = "mc-wan.l7mp.io/v1alpha1";
const gatewayApi = "gateway.networking.k8s.io/v1";
const birth = { generation: 1, creationTimestamp: "2026-01-01T12:00:00Z" };

const policy = (name: string, port: number, more: object = {}): KubeObject =>
  objectOf([ours, "WANPolicy"], { name, ...birth, ...more }, { spec: { tunnel: name, port, mode: "Plain" } });

const policies = [
  policy("high", 31111, { annotations: { "mc-wan.l7mp.io/default": "true" } }),
  policy("low", 31112),
];

const backed = (namespace: string, name: string, address: string): readonly KubeObject[] => [
  objectOf(
    ["v1", "Service"],
    { namespace, name, ...birth },
    {
      spec: {
        type: "ClusterIP",
        clusterIPs: ["10.96.0.20"],
        ports: [{ name: "http", port: 80, protocol: "TCP" }],
      },
    },
  ),
  objectOf(
    ["discovery.k8s.io/v1", "EndpointSlice"],
    { namespace, name: `${name}-x1`, labels: { "kubernetes.io/service-name": name } },
    {
      addressType: "IPv4",
      ports: [{ name: "http", port: 8080, protocol: "TCP" }],
      endpoints: [{ addresses: [address], conditions: { ready: true } }],
    },
  ),
];

const exported = (namespace: string, name: string): KubeObject =>
  objectOf(["multicluster.x-k8s.io/v1beta1", "ServiceExport"], { namespace, name, ...birth }, {});

const gatewayPod = (fleet: string, podIP: string): KubeObject =>
  objectOf(
    ["v1", "Pod"],
    { namespace: "mc-wan-system", name: `${fleet}-1`, labels: { "mc-wan.l7mp.io/fleet": fleet } },
    { status: { podIP, conditions: [{ type: "Ready", status: "True" }] } },
  );

const route = (kind: string, [namespace, name]: readonly [string, string], spec: object): KubeObject =>
  objectOf(
    [gatewayApi, kind],
    { namespace, name, ...birth },
    {
      spec: { parentRefs: [{ name: "web", namespace: "c" }], ...spec },
    },
  );

/** Users' routes, and rules of an import. */
const routes: readonly KubeObject[] = [
  route("HTTPRoute", ["c", "r"], {
    rules: [
      {
        backendRefs: [
          { name: "a", port: 80 },
          { name: "a-c-high", namespace: "mc-wan", port: 31111, weight: 2 },
        ],
      },
    ],
  }),
  route("HTTPRoute", ["b-c", "r"], {
    hostnames: ["shop.example.com"],
    rules: [{ backendRefs: [{ name: "a", namespace: "c", port: 80 }] }],
  }),
  route("GRPCRoute", ["c", "g"], {
    hostnames: ["*.example.com"],
    rules: [{ matches: [{ method: { service: "shop.Cart" } }], backendRefs: [{ name: "a", port: 80 }] }],
  }),
  route("TLSRoute", ["c", "t"], {
    hostnames: ["*.example.com"],
    rules: [{ backendRefs: [{ name: "a-b", port: 80 }] }],
  }),
  objectOf(
    ["gateway.networking.k8s.io/v1beta1", "ReferenceGrant"],
    { namespace: "c", name: "sound" },
    {
      spec: {
        from: [{ group: "gateway.networking.k8s.io", kind: "HTTPRoute", namespace: "b-c" }],
        to: [{ group: "", kind: "Service" }],
      },
    },
  ),
  objectOf(
    [ours, "ServiceImport"],
    { namespace: "c", name: "a", ...birth },
    {
      spec: {
        http: {
          rules: [
            {
              matches: [{ path: { type: "PathPrefix", value: "/low" } }],
              backendRefs: [{ group: "mc-wan.l7mp.io", kind: "WANPolicy", name: "low" }],
            },
            { backendRefs: [{ group: "mc-wan.l7mp.io", kind: "WANPolicy", name: "high" }] },
          ],
        },
      },
    },
  ),
];

/** What Istio makes of a Gateway that mc-wan writes: a Service with Pods behind it, and that it is programmed. */
const byIstio = (
  name: string,
  ports: Readonly<Record<string, number>>,
  address: string,
): readonly KubeObject[] => {
  const owner = { apiVersion: gatewayApi, kind: "Gateway", name, uid: `uid of Gateway c/${name}` };
  const listed = Object.entries(ports).map(([port, number]) => ({
    name: port,
    port: number,
    protocol: "TCP",
  }));
  const programmed = {
    type: "Programmed",
    status: "True",
    reason: "Programmed",
    message: "",
    observedGeneration: 1,
  };
  return [
    objectOf(
      ["v1", "Service"],
      {
        namespace: "c",
        name: `${name}-istio`,
        labels: { "gateway.networking.k8s.io/gateway-name": name },
        ownerReferences: [owner],
      },
      { spec: { type: "ClusterIP", ports: listed.map((port) => ({ ...port, targetPort: port.port })) } },
    ),
    objectOf(
      ["discovery.k8s.io/v1", "EndpointSlice"],
      { namespace: "c", name: `${name}-istio-x`, labels: { "kubernetes.io/service-name": `${name}-istio` } },
      {
        addressType: "IPv4",
        ports: listed,
        endpoints: [{ addresses: [address], conditions: { ready: true } }],
      },
    ),
    objectOf(
      [gatewayApi, "Gateway"],
      {
        namespace: "c",
        name,
        ...birth,
        labels: {
          "app.kubernetes.io/managed-by": "mc-wan",
          "mc-wan.l7mp.io/service-namespace": "c",
          "mc-wan.l7mp.io/service-name": "a",
        },
      },
      {
        spec: {
          gatewayClassName: "istio",
          listeners: listed.map(({ name: port, port: number }) => ({
            name: port,
            port: number,
            protocol: "HTTP",
            allowedRoutes: { namespaces: { from: "Same" } },
          })),
        },
        status: {
          listeners: listed.map((port) => ({
            name: port.name,
            attachedRoutes: 1,
            supportedKinds: [],
            conditions: [programmed],
          })),
        },
      },
    ),
  ];
};

/** Objects of the home cluster. */
export const soundHome: readonly KubeObject[] = [
  objectOf(
    ["apiextensions.k8s.io/v1", "CustomResourceDefinition"],
    { name: "wanpolicies.mc-wan.l7mp.io" },
    {},
  ),
  objectOf(
    [gatewayApi, "GatewayClass"],
    { name: "mc-wan" },
    {
      spec: { controllerName: "mc-wan.l7mp.io/gateway-controller" },
    },
  ),
  objectOf(
    [gatewayApi, "GatewayClass"],
    { name: "istio", ...birth },
    { spec: { controllerName: "istio.io/gateway-controller" } },
  ),
  ...byIstio("a-ingress", { high: 31111, low: 31112 }, "198.18.1.20"),
  ...byIstio("a-clusterset", { http: 80 }, "198.18.1.21"),
  objectOf(["v1", "ConfigMap"], { namespace: "c", name: "authority" }, { data: authorityData }),
  ...[...namespaces, "mc-wan", "mc-wan-system"].map((name) =>
    objectOf(["v1", "Namespace"], { name, ...(name === "shop" && { labels: { team: "red" } }) }, {}),
  ),
  ...policies,
  ...backed("c", "a", "198.18.1.10"),
  ...backed("c", "a-b", "198.18.1.11"),
  ...backed("b-c", "a", "198.18.1.12"),
  exported("c", "a"),
  exported("b-c", "a"),
  gatewayPod("mc-wan-ingress", "198.18.1.2"),
  gatewayPod("mc-wan-egress", "198.18.1.3"),
  objectOf(
    [gatewayApi, "Gateway"],
    { namespace: "c", name: "web", ...birth },
    {
      spec: {
        gatewayClassName: "mc-wan",
        allowedListeners: { namespaces: { from: "All" } },
        listeners: [
          { name: "http", port: 80, protocol: "HTTP", allowedRoutes: { namespaces: { from: "All" } } },
          { name: "https", port: 443, protocol: "HTTPS", tls: { certificateRefs: [{ name: "site" }] } },
          { name: "tls", port: 8443, protocol: "TLS", tls: { mode: "Passthrough" } },
        ],
      },
    },
  ),
  objectOf(
    ["v1", "Secret"],
    { namespace: "c", name: "site", resourceVersion: "1" },
    { type: "kubernetes.io/tls", data: siteData },
  ),
  ...routes,
];

const advertised = (namespace: string, name: string, more: object = {}): KubeObject =>
  objectOf(
    [ours, "ServiceAdvertisement"],
    { namespace, name },
    {
      spec: {
        formatVersion: 1,
        type: "ClusterSetIP",
        exportTime: "2026-01-01T00:00:03Z",
        ports: [{ name: "http", protocol: "TCP", port: 80 }],
        ipFamilies: ["IPv4"],
        pool: "mc-wan-ingress",
        readyBackends: [{ zone: "", count: 2 }],
        wanPolicy: "high",
        ...more,
      },
    },
  );

/** Objects of a peer, whose gateways are at this address. */
export const soundPeer = (address: string): readonly KubeObject[] => [
  ...policies,
  advertised("c", "a"),
  advertised("c", "b", {
    ports: [
      { name: "grpc", protocol: "TCP", port: 8080 },
      { name: "http", protocol: "TCP", port: 80 },
    ],
  }),
  advertised("shop", "a", {
    wanPolicy: "low",
    path: "Gateway",
    clients: [{ namespace: "c" }, { namespace: "shop" }],
  }),
  objectOf(
    [ours, "GatewayAdvertisement"],
    { namespace: "mc-wan-system", name: "mc-wan-ingress" },
    {
      spec: { formatVersion: 1, mode: "PodIP", endpoints: [{ address, ports: { high: 31111, low: 31112 } }] },
    },
  ),
];
