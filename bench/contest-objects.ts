/** What both contenders are given: Services with an endpoint each, one Gateway, HTTPRoutes of one rule. Pure. */
import { kinds } from "../src/model/kinds.ts";
import type { KubeObject } from "../src/model/kube-object.ts";

export const namespace = "bench";
export const gateway = "bench";
/** Of the Gateway's listener, and what its Envoy binds. */
export const listenerPort = 8888;
/** Where every endpoint is: the one backend of the arena. */
export const backend = { address: "198.18.0.9", port: 9080 };
const servicePort = 8080;

/** A Service and its EndpointSlice: no controller of Kubernetes runs that would write it. */
export function serviceObjects(name: string): KubeObject[] {
  return [
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name, namespace },
      spec: { ports: [{ name: "http", port: servicePort, targetPort: backend.port }] },
    },
    {
      apiVersion: kinds.EndpointSlice.apiVersion,
      kind: "EndpointSlice",
      metadata: { name, namespace, labels: { "kubernetes.io/service-name": name } },
      addressType: "IPv4",
      ports: [{ name: "http", port: backend.port, protocol: "TCP" }],
      endpoints: [{ addresses: [backend.address], conditions: { ready: true } }],
    },
  ];
}

/** The Gateway of a class. */
export function gatewayObject(gatewayClassName: string): KubeObject {
  return {
    apiVersion: kinds.Gateway.apiVersion,
    kind: "Gateway",
    metadata: { name: gateway, namespace },
    spec: { gatewayClassName, listeners: [{ name: "http", protocol: "HTTP", port: listenerPort }] },
  };
}

/** An HTTPRoute of one rule: a host to a Service. */
export function routeObject(name: string, host: string, service: string): KubeObject {
  return {
    apiVersion: kinds.HTTPRoute.apiVersion,
    kind: "HTTPRoute",
    metadata: { name, namespace },
    spec: {
      parentRefs: [{ name: gateway }],
      hostnames: [host],
      rules: [{ backendRefs: [{ name: service, port: servicePort }] }],
    },
  };
}
