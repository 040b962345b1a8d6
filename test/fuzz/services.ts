/** Random Services of every kind with their EndpointSlices, exports and WAN policies, odd ones among them. */
import fc from "fast-check";
import type { KubeObject } from "../../src/model/kube-object.ts";
import {
  birth,
  dense,
  maybe,
  namespaceName,
  objectOf,
  policyName,
  portNumber,
  serviceName,
} from "./names.ts";

const address = fc.constantFrom(
  "198.18.1.10",
  "198.18.1.10",
  "198.18.1.11",
  "127.0.0.1",
  "0.0.0.0",
  "224.0.0.1",
  "fd00::1",
  "::ffff:198.18.1.1",
  "not an address",
  "",
);

const protocol = fc.constantFrom("TCP", "TCP", "TCP", "UDP", "SCTP", undefined);
const appProtocol = maybe(fc.constantFrom("http", "kubernetes.io/h2c", "https", "mysql", "kubernetes.io/ws"));
const portName = fc.constantFrom("http", "grpc", "tcp-raw", "http-2");

const portsOf = (ports: readonly { readonly name?: string | undefined }[]): readonly object[] =>
  ports.length < 2
    ? ports.map(dense)
    : ports.map((port, index) => dense({ ...port, name: `${port.name ?? "p"}-${index}` }));

/** As an API server takes them: with names as soon as there are two. */
const servicePorts = fc
  .uniqueArray(fc.record({ name: maybe(portName), port: portNumber, protocol, appProtocol }), {
    maxLength: 4,
    selector: ({ port, protocol: of }) => `${port}/${of ?? "TCP"}`,
  })
  .map(portsOf);

export const service: fc.Arbitrary<KubeObject> = fc
  .record({
    namespace: namespaceName,
    name: serviceName,
    birth,
    form: fc.constantFrom("ClusterIP", "ClusterIP", "ClusterIP", "Headless", "ExternalName", "IPv6"),
    ports: servicePorts,
    sessionAffinity: maybe(fc.constantFrom("None", "ClientIP")),
  })
  .map(({ namespace, name, birth: born, form, ports, sessionAffinity }) => {
    const spec = {
      ClusterIP: {
        type: "ClusterIP",
        clusterIP: "10.96.0.10",
        clusterIPs: ["10.96.0.10"],
        ipFamilies: ["IPv4"],
      },
      Headless: { type: "ClusterIP", clusterIP: "None", clusterIPs: ["None"] },
      ExternalName: { type: "ExternalName", externalName: "example.com" },
      IPv6: { type: "ClusterIP", clusterIP: "fd00::10", clusterIPs: ["fd00::10"], ipFamilies: ["IPv6"] },
    }[form];
    return objectOf(
      ["v1", "Service"],
      { namespace, name, ...born },
      {
        spec: dense({ ...spec, ...(ports.length > 0 && { ports }), sessionAffinity }),
      },
    );
  });

const endpoint = fc
  .record({
    addresses: fc.array(address, { minLength: 1, maxLength: 2 }),
    conditions: fc.constantFrom<object | undefined>(
      { ready: true },
      { ready: true },
      { ready: false },
      { ready: false, serving: true, terminating: true },
      {},
      undefined,
    ),
    zone: maybe(fc.constantFrom("z1", "z2")),
    hostname: maybe(fc.constantFrom("a-0")),
  })
  .map(dense);

export const endpointSlice: fc.Arbitrary<KubeObject> = fc
  .record({
    namespace: namespaceName,
    of: serviceName,
    suffix: fc.constantFrom("x1", "x2"),
    addressType: fc.constantFrom("IPv4", "IPv4", "IPv4", "IPv6", "FQDN"),
    ports: fc.option(
      fc.array(
        fc
          .record({
            name: maybe(fc.constantFrom("", "http", "http-0", "p-1")),
            port: maybe(portNumber),
            protocol,
          })
          .map(dense),
        { maxLength: 3 },
      ),
      { nil: undefined, freq: 8 },
    ),
    endpoints: fc.array(endpoint, { maxLength: 3 }),
  })
  .map(({ namespace, of, suffix, addressType, ports, endpoints }) =>
    objectOf(
      ["discovery.k8s.io/v1", "EndpointSlice"],
      { namespace, name: `${of}-${suffix}`, labels: { "kubernetes.io/service-name": of } },
      { addressType, ports, endpoints },
    ),
  );

export const serviceExport: fc.Arbitrary<KubeObject> = fc
  .record({
    namespace: namespaceName,
    name: serviceName,
    birth,
    policy: maybe(fc.oneof(policyName, fc.constantFrom("", "No Such", "constructor"))),
    alias: maybe(policyName),
    path: maybe(fc.constantFrom("Direct", "Gateway", "Sideways")),
    exported: maybe(fc.constantFrom({ app: "x" }, { "app.kubernetes.io/managed-by": "somebody" })),
  })
  .map(({ namespace, name, birth: born, policy, alias, path, exported }) => {
    const annotations = dense({
      "mc-wan.l7mp.io/wan-policy": policy,
      "mcw.l7mp.io/mc-wan-policy": alias,
      "mc-wan.l7mp.io/path": path,
    }) as Record<string, string>;
    return objectOf(
      ["multicluster.x-k8s.io/v1beta1", "ServiceExport"],
      { namespace, name, ...born, annotations },
      { spec: exported && { exportedLabels: exported, exportedAnnotations: exported } },
    );
  });

/** Ports clash often, and more than one may call itself the default. */
export const wanPolicy: fc.Arbitrary<KubeObject> = fc
  .record({
    name: policyName,
    birth,
    isDefault: fc.constantFrom(undefined, undefined, "true", "false", "yes"),
    tunnel: fc.constantFrom("business", "default"),
    port: fc.constantFrom(31111, 31112, 31113, 1024, 65535),
    mode: maybe(fc.constantFrom("Plain", "MutualTLS")),
    dscp: maybe(fc.constant(46)),
  })
  .map(({ name, birth: born, isDefault, ...spec }) =>
    objectOf(
      ["mc-wan.l7mp.io/v1alpha1", "WANPolicy"],
      { name, ...born, ...(isDefault && { annotations: { "mc-wan.l7mp.io/default": isDefault } }) },
      { spec: dense(spec) },
    ),
  );
