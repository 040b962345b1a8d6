/** Kubernetes objects of the tests of changes: one Gateway of a user, its routes, Services, and one peer. Pure. */
import { gatewayClassName, systemNamespace } from "../../src/model/names.ts";
import type { KubeObject } from "../../src/model/kube-object.ts";
import type { WorldFile } from "../../src/reconcile/world-from-yaml.ts";
import { thisHost } from "../translate/run-case.ts";

const namespace = "secure";
/** The fleet of the Gateway. */
export const fleet = `${namespace}.changing`;
export const servicePort = 8080;
const policies = { high: 31_111, low: 31_112 } as const;
export type Policy = keyof typeof policies;
const created = "2026-01-01T00:00:00Z";
let generations = 0;

function object(
  [apiVersion, kind]: readonly [string, string],
  name: string,
  rest: { readonly namespace?: string; readonly spec?: object; readonly [field: string]: unknown } = {},
): KubeObject {
  const { namespace: own = namespace, ...fields } = rest;
  generations += 1;
  const numbers = { generation: generations, resourceVersion: String(generations) };
  const metadata = {
    name,
    namespace: own,
    uid: `uid-${kind}-${name}`,
    creationTimestamp: created,
    ...numbers,
  };
  return { apiVersion, kind, metadata, ...fields };
}

function clusterScoped(type: readonly [string, string], name: string, rest: object = {}): KubeObject {
  const { namespace: _none, ...metadata } = object(type, name).metadata;
  return { apiVersion: type[0], kind: type[1], metadata, ...rest };
}

/** A Service. */
export const service = (name: string): KubeObject =>
  object(["v1", "Service"], name, {
    spec: { type: "ClusterIP", clusterIP: "198.19.0.10", ports: [{ name: "http", port: servicePort }] },
  });

/** Its endpoints: ports of 127.0.0.1. */
export const slices = (name: string, ...ports: readonly number[]): KubeObject[] =>
  ports.map((port, index) => {
    const slice = object(["discovery.k8s.io/v1", "EndpointSlice"], `${name}-${index}`, {
      addressType: "IPv4",
      ports: [{ name: "http", protocol: "TCP", port }],
      endpoints: [{ addresses: [thisHost], conditions: { ready: true } }],
    });
    return { ...slice, metadata: { ...slice.metadata, labels: { "kubernetes.io/service-name": name } } };
  });

/** An HTTPRoute of the Gateway. */
export const route = (name: string, host: string, ...rules: readonly object[]): KubeObject =>
  object(["gateway.networking.k8s.io/v1", "HTTPRoute"], name, {
    spec: { parentRefs: [{ name: "changing" }], hostnames: [host], rules },
  });

const wanPolicies = (Object.keys(policies) as Policy[]).map((name) =>
  clusterScoped(["mc-wan.l7mp.io/v1alpha1", "WANPolicy"], name, {
    spec: { tunnel: name, port: policies[name], mode: "Plain" },
  }),
);

/**
 * A cluster with the Gateway, at this port of 127.0.0.1, and a peer that exports `payment`; its ingress gateway takes requests
 * of each policy at these ports of 127.0.0.1.
 */
export function cluster(
  listenerPort: number,
  peerPorts: Readonly<Record<Policy, number>>,
  objects: readonly KubeObject[],
): WorldFile {
  const gatewaySpec = {
    gatewayClassName,
    listeners: [{ name: "http", protocol: "HTTP", port: listenerPort }],
  };
  const advertisement = {
    formatVersion: 1,
    type: "ClusterSetIP",
    exportTime: created,
    ports: [{ name: "http", protocol: "TCP", port: servicePort }],
    ipFamilies: ["IPv4"],
    pool: "mc-wan-ingress",
    readyBackends: [{ zone: "", count: 2 }],
    wanPolicy: "high",
  };
  const gateways = { formatVersion: 1, mode: "PodIP", endpoints: [{ address: thisHost, ports: peerPorts }] };
  const api = "mc-wan.l7mp.io/v1alpha1";
  return {
    home: [
      clusterScoped(["apiextensions.k8s.io/v1", "CustomResourceDefinition"], "wanpolicies.mc-wan.l7mp.io"),
      ...[namespace, "mc-wan", systemNamespace].map((name) => clusterScoped(["v1", "Namespace"], name)),
      ...wanPolicies,
      object(["gateway.networking.k8s.io/v1", "Gateway"], "changing", { spec: gatewaySpec }),
      ...objects,
    ],
    peers: [
      {
        id: "east",
        objects: [
          ...wanPolicies,
          object([api, "ServiceAdvertisement"], "payment", { spec: advertisement }),
          object([api, "GatewayAdvertisement"], "mc-wan-ingress", {
            namespace: systemNamespace,
            spec: gateways,
          }),
        ],
      },
    ],
  };
}
