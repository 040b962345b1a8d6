/** The objects that every lab cluster starts with, besides the CRDs. Pure; never anything of mc-wan itself. */
import { clusterIdProperty } from "../../model/names.ts";
import type { ClusterPlan } from "../lab-plan.ts";

/** An object and the path it is applied at. */
export interface PlacedObject {
  readonly path: string;
  readonly object: Readonly<Record<string, unknown>>;
}

/** The Node, without its status: that has to be patched by itself. */
export function nodeObject(plan: ClusterPlan): PlacedObject {
  return {
    path: `/api/v1/nodes/${plan.nodeName}`,
    object: {
      apiVersion: "v1",
      kind: "Node",
      metadata: {
        name: plan.nodeName,
        labels: {
          "kubernetes.io/hostname": plan.nodeName,
          "kubernetes.io/os": "linux",
          "kubernetes.io/arch": process.arch === "x64" ? "amd64" : process.arch,
          "node-role.kubernetes.io/control-plane": "",
          "topology.kubernetes.io/region": "lab",
          "topology.kubernetes.io/zone": plan.id,
        },
      },
      spec: { podCIDR: plan.addresses.podCIDR, podCIDRs: [plan.addresses.podCIDR] },
    },
  };
}

/** What kube-proxy looks for before it starts: without the InternalIP it waits for 30 s. */
export function nodeAddressStatus(plan: ClusterPlan): unknown {
  return {
    status: {
      addresses: [
        { type: "InternalIP", address: plan.addresses.node },
        { type: "Hostname", address: plan.nodeName },
      ],
    },
  };
}

/** The cluster's DNS as a Service with one endpoint: CoreDNS runs beside the API server, not as a Pod. */
export function dnsObjects(plan: ClusterPlan): PlacedObject[] {
  const labels = { "k8s-app": "kube-dns", "kubernetes.io/name": "CoreDNS" };
  const ports = [
    { name: "dns", port: 53, protocol: "UDP" },
    { name: "dns-tcp", port: 53, protocol: "TCP" },
  ];
  return [
    {
      path: "/api/v1/namespaces/kube-system/services/kube-dns",
      object: {
        apiVersion: "v1",
        kind: "Service",
        metadata: { name: "kube-dns", namespace: "kube-system", labels },
        spec: {
          clusterIP: plan.addresses.dnsService,
          ports: ports.map((port) => ({ ...port, targetPort: port.port })),
        },
      },
    },
    {
      path: "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices/kube-dns-lab",
      object: {
        apiVersion: "discovery.k8s.io/v1",
        kind: "EndpointSlice",
        metadata: {
          name: "kube-dns-lab",
          namespace: "kube-system",
          labels: {
            "kubernetes.io/service-name": "kube-dns",
            "endpointslice.kubernetes.io/managed-by": "mc-wan-lab",
          },
        },
        addressType: "IPv4",
        ports,
        endpoints: [
          { addresses: [plan.addresses.dns], conditions: { ready: true }, nodeName: plan.nodeName },
        ],
      },
    },
  ];
}

/** The cluster's id and its cluster set, as KEP-2149 has them. */
export function clusterProperties(plan: ClusterPlan): PlacedObject[] {
  return [[clusterIdProperty, plan.id] as const, ["clusterset.k8s.io", "mc-wan-lab"] as const].map(
    ([name, value]) => ({
      path: `/apis/about.k8s.io/v1alpha1/clusterproperties/${name}`,
      object: {
        apiVersion: "about.k8s.io/v1alpha1",
        kind: "ClusterProperty",
        metadata: { name },
        spec: { value },
      },
    }),
  );
}
