/**
 * What stands in the clusters after an export, object by object: the tables of the specification, for a service with one
 * port and rules, and for one with several ports that its consumer exports as well.
 */
import type { Claim, Scenario } from "../claim.ts";
import { eventually, must } from "../claim.ts";
import type { Environment } from "../environment.ts";
import { deleteExample } from "../example.ts";
import { mustStand, standing } from "../expected.ts";
import type { Expected, Standing } from "../expected.ts";
import type { InstallTarget } from "../../src/lab/install.ts";
import { labels } from "../../src/model/names.ts";
import { service, serviceExport } from "../manifests.ts";
import { applyObjects, deleteObjects } from "../mistake.ts";
import { payment } from "./payment.ts";
import { handEdits } from "./objects-by-hand.ts";

const high = "sd-wan-priority-high";
const low = "sd-wan-priority-low";
const ports: Readonly<Record<string, number>> = { [high]: 31111, [low]: 31112 };
const paymentService = { namespace: "secure", name: "payment" };
/** Exported by the consumer's own cluster and by another. */
const several = { namespace: "secure", name: "several" };
const severalObjects = [
  service(several, {
    selector: { app: "payment" },
    ports: [
      { name: "http", port: 8080, targetPort: 8080 },
      { name: "admin", port: 9090, targetPort: 8080, appProtocol: "http" },
    ],
  }),
  serviceExport(several, low),
];

const byCrd = { ownerReferences: [{ kind: "CustomResourceDefinition", name: "wanpolicies.mc-wan.l7mp.io" }] };
const byExport = (name: string): Readonly<Record<string, Expected>> => ({
  ownerReferences: [{ kind: "ServiceExport", name }],
});
const causedBy = ({ namespace, name }: typeof several, more: Record<string, Expected> = {}): Expected => ({
  [labels.managedBy]: "mc-wan",
  [labels.serviceNamespace]: namespace,
  [labels.serviceName]: name,
  ...more,
});
const hasAll =
  (wanted: readonly string[]) =>
  (seen: unknown): boolean =>
    Array.isArray(seen) && wanted.every((name) => seen.includes(name));
const isNonEmpty = (seen: unknown): boolean => Array.isArray(seen) && seen.length > 0;

const full = ({ namespace, name }: typeof several): string[] => [
  `${name}.${namespace}.svc.cluster.local`,
  `${name}.${namespace}.svc.clusterset.local`,
  `${name}-clusterset.${namespace}.svc.cluster.local`,
  `${name}.${namespace}.svc`,
  `${name}.${namespace}`,
  `${name}-clusterset.${namespace}.svc`,
  `${name}-clusterset.${namespace}`,
];

const kinds = [
  "gateways.gateway.networking.k8s.io",
  "httproutes.gateway.networking.k8s.io",
  "referencegrants.gateway.networking.k8s.io",
  "serviceimports.multicluster.x-k8s.io",
  "serviceadvertisements.mc-wan.l7mp.io",
  "gatewayadvertisements.mc-wan.l7mp.io",
  "services",
  "endpoints",
  "endpointslices",
];

const ofService = (
  environment: Environment,
  cluster: InstallTarget,
  { namespace, name }: typeof several,
): Promise<Standing[]> =>
  standing(environment, {
    cluster,
    kinds,
    selector: `${labels.serviceNamespace}=${namespace},${labels.serviceName}=${name}`,
  });

const rewriteTo = (hostname: string): Expected => ({ type: "URLRewrite", urlRewrite: { hostname } });
const portHeader = (port: number): Expected => ({
  type: "RequestHeaderModifier",
  requestHeaderModifier: { set: [{ name: "x-mc-wan-port", value: String(port) }] },
});

/** A backendRef to a dummy, with all that is done to a request on its way. */
const toDummy = (of: typeof several, policy: string, port: number): Expected => ({
  kind: "Service",
  name: `${of.name}-${of.namespace}-${policy}`,
  namespace: "mc-wan",
  port: ports[policy],
  filters: [rewriteTo(`${of.name}.${of.namespace}.svc.cluster.local`), portHeader(port)],
});

const sortedBy =
  (field: string, values: readonly string[]) =>
  (seen: unknown): boolean =>
    Array.isArray(seen) &&
    JSON.stringify((seen as Record<string, string>[]).map((entry) => entry[field]).sort()) ===
      JSON.stringify([...values].sort());

const exportingSide: Claim = {
  title: "the exporting cluster has the ingress Gateway, its HTTPRoute and the advertisement",
  prove: async (environment) => {
    for (const cluster of environment.exporters) {
      const objects = await ofService(environment, cluster, paymentService);
      // What would outlive the installation beside its cause is owned by the CRD, as everything in other namespaces.
      const metadata = { labels: causedBy(paymentService), ...byCrd };
      mustStand(objects, "Gateway secure/payment-ingress", {
        metadata: { ...metadata, annotations: { "networking.istio.io/service-type": "ClusterIP" } },
        spec: {
          gatewayClassName: "mc-wan",
          listeners: [high, low].map((policy) => ({
            name: policy,
            port: ports[policy],
            protocol: "HTTPS",
            tls: { mode: "Terminate" },
            allowedRoutes: { namespaces: { from: "Same" } },
          })),
        },
        status: { addresses: [{ type: "IPAddress", value: await ingressIp(environment, cluster) }] },
      });
      mustStand(objects, "HTTPRoute secure/payment-ingress", {
        metadata,
        spec: {
          parentRefs: [{ kind: "Gateway", name: "payment-ingress" }],
          hostnames: (seen) => hasAll(full(paymentService))(seen) && !hasAll(["payment"])(seen),
          rules: [
            {
              filters: [rewriteTo("payment.secure.svc.cluster.local")],
              backendRefs: [{ kind: "Service", name: "payment", port: 8080 }],
            },
          ],
        },
      });
      mustStand(objects, "ServiceAdvertisement secure/payment", {
        metadata: { ...metadata, ...byExport("payment") },
        spec: {
          type: "ClusterSetIP",
          ports: [{ name: "http", protocol: "TCP", port: 8080 }],
          sessionAffinity: "None",
          internalTrafficPolicy: "Cluster",
          ipFamilies: ["IPv4"],
          exportTime: (seen) => typeof seen === "string" && !Number.isNaN(Date.parse(seen)),
          wanPolicy: high,
          pool: "mc-wan-ingress",
          readyBackends: [{ count: cluster === environment.exporters[0] ? 1 : 3 }],
        },
      });
    }
    return { clusters: environment.exporters.length };
  },
};

const poolOfGateways: Claim = {
  title:
    "each exporting cluster advertises its ready ingress gateways, with address, zone and a port per policy",
  prove: async (environment) => {
    for (const cluster of environment.exporters) {
      const pool = await standing(environment, { cluster, kinds: ["gatewayadvertisements.mc-wan.l7mp.io"] });
      mustStand(pool, "GatewayAdvertisement mc-wan-system/mc-wan-ingress", {
        metadata: { ...byCrd, labels: { [labels.managedBy]: "mc-wan" } },
        spec: {
          endpoints: (seen) =>
            Array.isArray(seen) &&
            seen.length === 2 &&
            (seen as { address?: string; zone?: string; ports?: unknown }[]).every(
              ({ address, zone, ports: listens }) =>
                address !== undefined &&
                zone !== undefined &&
                JSON.stringify(listens) === JSON.stringify(ports),
            ),
        },
      });
    }
    return {};
  },
};

const importedWithRules: Claim = {
  title:
    "the importing cluster has the MCS ServiceImport, the shadow Service, the egress Gateway and its HTTPRoute with the rules",
  prove: async (environment) => {
    const { consumer } = environment;
    const objects = await ofService(environment, consumer, paymentService);
    const metadata = { labels: causedBy(paymentService), ...byCrd };
    const shadow = objects.find(
      ({ kind, metadata: { name } }) => kind === "Service" && name === "payment-clusterset",
    );
    const ips = (shadow?.["spec"] as { clusterIPs?: string[] } | undefined)?.clusterIPs ?? [];
    mustStand(objects, "Service secure/payment-clusterset", {
      metadata,
      spec: {
        selector: undefined,
        clusterIPs: isNonEmpty,
        ports: [
          {
            name: "http",
            port: 8080,
            protocol: "TCP",
            targetPort: (seen) => Number(seen) >= 20_000 && Number(seen) < 30_000,
          },
        ],
      },
    });
    mustStand(objects, "ServiceImport secure/payment", {
      metadata,
      spec: {
        type: "ClusterSetIP",
        ips,
        ipFamilies: ["IPv4"],
        ports: [{ name: "http", port: 8080, protocol: "TCP" }],
      },
      status: { clusters: environment.exporters.map(({ id }) => ({ cluster: id })) },
    });
    mustStand(objects, "Gateway secure/payment-clusterset", {
      metadata: { ...metadata, annotations: { "networking.istio.io/service-type": "ClusterIP" } },
      spec: { gatewayClassName: "mc-wan", listeners: [{ name: "http", port: 8080, protocol: "HTTP" }] },
      status: { addresses: [{ type: "IPAddress", value: ips[0] }] },
    });
    mustStand(objects, "HTTPRoute secure/payment-clusterset", {
      metadata,
      spec: {
        parentRefs: [{ kind: "Gateway", name: "payment-clusterset", sectionName: "http" }],
        hostnames: hasAll([...full(paymentService), "payment", "payment-clusterset"]),
        rules: [
          {
            matches: [{ method: "GET", path: { type: "PathPrefix", value: "/payment" } }],
            backendRefs: [toDummy(paymentService, high, 8080)],
          },
          {
            matches: [{ path: { type: "PathPrefix", value: "/stats" } }],
            backendRefs: [toDummy(paymentService, low, 8080)],
          },
        ],
      },
    });
    return { ips };
  },
};

const dummies: Claim = {
  title:
    "mc-wan has a dummy Service per WANPolicy, with slices, Endpoints and one ReferenceGrant, and nothing else",
  prove: async (environment) => {
    const { consumer } = environment;
    const gateways = (
      await Promise.all(environment.exporters.map((cluster) => gatewayAddresses(environment, cluster)))
    ).flat();
    const objects = await ofService(environment, consumer, paymentService);
    for (const policy of [high, low]) {
      const name = `payment-secure-${policy}`;
      mustStand(objects, `Service mc-wan/${name}`, {
        metadata: {
          ...byCrd,
          labels: causedBy(paymentService, {
            [labels.wanPolicy]: policy,
            "service.kubernetes.io/service-proxy-name": "mc-wan",
          }),
        },
        spec: { selector: undefined, ports: [{ port: ports[policy], protocol: "TCP" }] },
      });
      const slices = objects.filter(
        ({ metadata: { labels: own } }) => own?.[labels.kubeServiceName] === name,
      );
      must(slices.length === 1, `${name} has not one slice`, { slices: slices.length });
      mustStand(slices, `EndpointSlice mc-wan/${slices[0]?.metadata.name ?? ""}`, {
        metadata: { ...byCrd, labels: causedBy(paymentService, { [labels.sliceManagedBy]: "mc-wan" }) },
        addressType: "IPv4",
        ports: [{ port: ports[policy], protocol: "TCP" }],
        endpoints: (seen) =>
          sortedBy(
            "0",
            gateways,
          )((seen as { addresses: string[] }[]).map(({ addresses }) => ({ 0: addresses[0] }))),
      });
      mustStand(objects, `Endpoints mc-wan/${name}`, {
        metadata: { ...byCrd, labels: causedBy(paymentService, { [labels.skipMirror]: "true" }) },
        subsets: [{ addresses: sortedBy("ip", gateways), ports: [{ port: ports[policy] }] }],
      });
    }
    const grants = objects.filter(({ kind }) => kind === "ReferenceGrant");
    must(grants.length === 1, "there is not one ReferenceGrant", { grants: grants.length });
    mustStand(grants, `ReferenceGrant mc-wan/${grants[0]?.metadata.name ?? ""}`, {
      metadata: byCrd,
      spec: {
        from: ["HTTPRoute", "GRPCRoute", "TCPRoute"].map((kind) => ({
          group: "gateway.networking.k8s.io",
          kind,
          namespace: "secure",
        })),
        to: [high, low].map((policy) => ({ group: "", kind: "Service", name: `payment-secure-${policy}` })),
      },
    });
    const inNamespace = await standing(environment, {
      cluster: consumer,
      kinds: ["pods", "deployments", "secrets", "services"],
    });
    const strangers = inNamespace.filter(
      ({ kind, metadata }) =>
        metadata.namespace === "mc-wan" &&
        (kind !== "Service" || metadata.labels?.[labels.managedBy] !== "mc-wan"),
    );
    must(strangers.length === 0, "something else is in mc-wan", {
      strangers: strangers.map(({ metadata }) => metadata.name),
    });
    return { gateways };
  },
};

const mcsSlices: Claim = {
  title:
    "per source cluster there is an MCS slice with its gateways, which no kube-proxy takes for a Service's",
  prove: async (environment) => {
    const objects = await standing(environment, {
      cluster: environment.consumer,
      kinds: ["endpointslices"],
      selector: `${labels.mcsServiceName}=payment`,
    });
    must(objects.length === environment.exporters.length, "there is not one for each exporter", {
      slices: objects.length,
    });
    for (const cluster of environment.exporters) {
      const slice = objects.find(({ metadata }) => metadata.labels?.[labels.mcsSourceCluster] === cluster.id);
      const gateways = await gatewayAddresses(environment, cluster);
      mustStand(objects, `EndpointSlice secure/${slice?.metadata.name ?? `of ${cluster.id}`}`, {
        metadata: {
          labels: causedBy(paymentService, {
            [labels.sliceManagedBy]: "mc-wan",
            [labels.kubeServiceName]: undefined,
          }),
          ownerReferences: [{ kind: "ServiceImport", name: "payment", controller: false }],
        },
        endpoints: (seen) =>
          Array.isArray(seen) &&
          (seen as { addresses: string[]; conditions: { ready: boolean } }[]).every(
            ({ addresses, conditions }) => conditions.ready && gateways.includes(addresses[0] ?? ""),
          ) &&
          seen.length === gateways.length,
      });
    }
    return { slices: objects.length };
  },
};

const severalPorts: Claim = {
  title: "a service with several ports, exported at home too, has a rule, a listener and a route for each",
  prove: async (environment) => {
    const { consumer } = environment;
    const { value: objects } = await eventually("the import of several", 20_000, async () => {
      const seen = await ofService(environment, consumer, several);
      const mcs = seen.find(({ kind }) => kind === "ServiceImport") as
        { status?: { clusters?: unknown[] } } | undefined;
      return mcs?.status?.clusters?.length === 2 ? seen : undefined;
    });
    const byPort = { admin: 9090, http: 8080 } as const;
    mustStand(objects, "Gateway secure/several-ingress", {
      metadata: byCrd,
      spec: { listeners: [{ name: high }, { name: low }] },
    });
    mustStand(objects, "HTTPRoute secure/several-ingress", {
      spec: {
        rules: [8080, 9090].map((port) => ({
          matches: [{ headers: [{ name: "x-mc-wan-port", value: String(port) }] }],
          filters: [rewriteTo("several.secure.svc.cluster.local")],
          backendRefs: [{ name: "several", port }],
        })),
      },
    });
    mustStand(objects, "ServiceImport secure/several", {
      spec: {
        ports: [
          { name: "http", port: 8080 },
          { name: "admin", port: 9090, appProtocol: "http" },
        ],
      },
    });
    mustStand(objects, "Gateway secure/several-clusterset", {
      spec: {
        listeners: [
          { name: "http", port: 8080, protocol: "HTTP" },
          { name: "admin", port: 9090, protocol: "HTTP" },
        ],
      },
    });
    for (const [name, section] of [
      ["several-clusterset", "http"],
      ["several-clusterset-admin", "admin"],
    ] as const) {
      const found = objects
        .filter(
          ({ kind, metadata }) => kind === "HTTPRoute" && metadata.name.startsWith("several-clusterset"),
        )
        .map(({ metadata }) => metadata.name);
      const key = objects.some(({ metadata }) => metadata.name === name)
        ? name
        : `several-clusterset-${byPort[section]}`;
      must(found.includes(key), `no route for ${section}`, { found });
      mustStand(objects, `HTTPRoute secure/${key}`, {
        spec: {
          parentRefs: [{ name: "several-clusterset", sectionName: section }],
          rules: [{ backendRefs: [toDummy(several, low, byPort[section])] }],
        },
      });
    }
    const own = objects.filter(({ metadata }) => metadata.labels?.[labels.mcsSourceCluster] === consumer.id);
    must(own.length > 0, "there is no MCS slice of the consumer's own cluster", {});
    return { objects: objects.length };
  },
};

async function ingressIp(environment: Environment, { context }: InstallTarget): Promise<string> {
  return await environment.kubectl.run(context, [
    "get",
    "service",
    "-n",
    "mc-wan-system",
    "mc-wan-ingress",
    "-o",
    "jsonpath={.spec.clusterIP}",
  ]);
}

async function gatewayAddresses(environment: Environment, { context }: InstallTarget): Promise<string[]> {
  const addresses = await environment.kubectl.run(context, [
    "get",
    "pods",
    "-n",
    "mc-wan-system",
    "-l",
    `${labels.fleet}=mc-wan-ingress`,
    "-o",
    "jsonpath={.items[*].status.podIP}",
  ]);
  return addresses.split(" ");
}

const changeSeveral = async (environment: Environment, change: typeof applyObjects): Promise<void> => {
  for (const cluster of [environment.consumer, ...environment.exporters.slice(0, 1)])
    await change(environment, { in: cluster, objects: severalObjects });
};

export const objects: Scenario = {
  title: "objects: what stands in the clusters, by the specification's tables",
  setUp: async (environment, progress) => {
    await payment.setUp(environment, progress);
    await changeSeveral(environment, applyObjects);
  },
  claims: [exportingSide, poolOfGateways, importedWithRules, dummies, mcsSlices, severalPorts, ...handEdits],
  tearDown: async (environment) => {
    await changeSeveral(environment, deleteObjects);
    await deleteExample(environment, "payment");
  },
};
