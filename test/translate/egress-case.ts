/** An egress gateway that imports a service over mutual TLS. For tests with real Envoys. */
import type { KubeObject } from "../../src/model/kube-object.ts";
import { egressPool } from "../../src/model/names.ts";
import type { CaseFile } from "../../src/translate/case-file.ts";
import { policyPort } from "./gateway-callers.ts";

/** The container port of the import's one listener. */
export const egressPort = 20_001;

/** An egress gateway that imports `secure/payment` from clusters at a port, over a policy of mode MutualTLS. */
export function egressCase(
  port: number,
  exporters: readonly string[],
): Pick<CaseFile, "objects" | "gateways" | "wanBackends"> {
  const objects = [
    {
      apiVersion: "gateway.networking.k8s.io/v1",
      kind: "Gateway",
      metadata: { namespace: "secure", name: "payment-clusterset" },
      spec: { gatewayClassName: "mc-wan", listeners: [{ name: "http", port: 80, protocol: "HTTP" }] },
    },
    {
      apiVersion: "gateway.networking.k8s.io/v1",
      kind: "HTTPRoute",
      metadata: { namespace: "secure", name: "payment-clusterset" },
      spec: {
        parentRefs: [{ name: "payment-clusterset" }],
        rules: [{ backendRefs: [{ name: "payment-secure-high", namespace: "mc-wan", port: policyPort }] }],
      },
    },
    {
      apiVersion: "gateway.networking.k8s.io/v1beta1",
      kind: "ReferenceGrant",
      metadata: { namespace: "mc-wan", name: "all" },
      spec: {
        from: [{ group: "gateway.networking.k8s.io", kind: "HTTPRoute", namespace: "secure" }],
        to: [{ group: "", kind: "Service" }],
      },
    },
  ] as KubeObject[];
  const service = { namespace: "secure", name: "payment" };
  const pooled = {
    role: "Egress" as const,
    service,
    hostnames: ["payment"],
    containerPorts: { http: egressPort },
  };
  return {
    objects,
    gateways: [{ gateway: "secure/payment-clusterset", fleet: egressPool, pooled }],
    wanBackends: {
      "payment-secure-high": {
        service,
        policy: "high",
        exporters,
        remote: exporters.map((cluster) => ({
          cluster,
          weight: 1,
          endpoints: [{ address: "127.0.0.1", port }],
        })),
      },
    },
  };
}
