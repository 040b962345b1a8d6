/** An egress gateway that imports services from other clusters. For tests with real Envoys. */
import type { KubeObject } from "../../src/model/kube-object.ts";
import type { PooledGateway, WanBackend } from "../../src/model/desired.ts";
import { egressPool } from "../../src/model/names.ts";
import type { CaseFile } from "../../src/translate/case-file.ts";
import { policyPort } from "./gateway-callers.ts";

/** The container port of the one listener of {@link egressCase}. */
export const egressPort = 20_001;

const namespace = "secure";
const gatewayApi = "gateway.networking.k8s.io";

/** An imported service, `secure/<name>`. */
export interface ImportedService {
  readonly name: string;
  /** Of its one listener. */
  readonly containerPort: number;
  /** Clusters that export it; their gateways are all at `port` of 127.0.0.1. */
  readonly clusters: readonly string[];
  readonly port: number;
  readonly pooled?: Partial<PooledGateway>;
  readonly backend?: Partial<WanBackend>;
}

type EgressCase = Pick<CaseFile, "objects" | "gateways" | "wanBackends">;

/** An egress gateway that imports these services, each over a policy `high`; a client asks for their names. */
export function egressOf(services: readonly ImportedService[]): EgressCase {
  return {
    objects: [...services.flatMap(objectsOf), grant] as KubeObject[],
    gateways: services.map(({ name, containerPort, pooled }) => ({
      gateway: `${namespace}/${name}-clusterset`,
      fleet: egressPool,
      pooled: {
        role: "Egress",
        service: { namespace, name },
        hostnames: [name],
        containerPorts: { http: containerPort },
        ...pooled,
      },
    })),
    wanBackends: Object.fromEntries(
      services.map(({ name, clusters, port, backend }) => [
        dummyOf(name),
        {
          service: { namespace, name },
          policy: "high",
          remote: clusters.map((cluster) => ({
            cluster,
            weight: 1,
            endpoints: [{ address: "127.0.0.1", port }],
          })),
          ...backend,
        },
      ]),
    ),
  };
}

/** An egress gateway that imports `secure/payment` from clusters at a port, over a policy of mode MutualTLS. */
export function egressCase(port: number, exporters: readonly string[]): EgressCase {
  const payment = { name: "payment", containerPort: egressPort, clusters: exporters, port };
  return egressOf([{ ...payment, backend: { exporters } }]);
}

const dummyOf = (name: string): string => `${name}-${namespace}-high`;

const objectsOf = ({ name }: ImportedService): object[] => [
  {
    apiVersion: `${gatewayApi}/v1`,
    kind: "Gateway",
    metadata: { namespace, name: `${name}-clusterset` },
    spec: { gatewayClassName: "mc-wan", listeners: [{ name: "http", port: 80, protocol: "HTTP" }] },
  },
  {
    apiVersion: `${gatewayApi}/v1`,
    kind: "HTTPRoute",
    metadata: { namespace, name: `${name}-clusterset` },
    spec: {
      parentRefs: [{ name: `${name}-clusterset` }],
      rules: [{ backendRefs: [{ name: dummyOf(name), namespace: "mc-wan", port: policyPort }] }],
    },
  },
];

const grant = {
  apiVersion: `${gatewayApi}/v1beta1`,
  kind: "ReferenceGrant",
  metadata: { namespace: "mc-wan", name: "all" },
  spec: {
    from: [{ group: gatewayApi, kind: "HTTPRoute", namespace }],
    to: [{ group: "", kind: "Service" }],
  },
};
