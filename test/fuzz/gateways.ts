/** Random Gateways, ListenerSets, certificates, routes of all kinds and grants of users. */
import fc from "fast-check";
import type { KubeObject } from "../../src/model/kube-object.ts";
import { siteData } from "./certificates.ts";
import { birth, dense, hostname, maybe, namespaceName, objectOf, serviceName } from "./names.ts";
import { grpcRule, httpRouteRule, importRule, tcpRefs, tlsRule } from "./rules.ts";

const gatewayApi = "gateway.networking.k8s.io/v1";
const gatewayName = fc.constantFrom(
  "web",
  "web",
  "web",
  "web",
  "web",
  "a",
  "1.web",
  "a-clusterset",
  "a-ingress",
);
const secretName = fc.constantFrom("site", "site", "other");
const listenerName = fc.constantFrom("http", "https", "tls", "more");

export const secret: fc.Arbitrary<KubeObject> = fc
  .record({
    namespace: namespaceName,
    name: secretName,
    data: fc.constantFrom<object | undefined>(
      siteData,
      siteData,
      { ...siteData, "tls.key": "bm8ga2V5" },
      { ...siteData, "tls.crt": siteData["tls.key"] },
      { "tls.crt": "" },
      undefined,
    ),
  })
  .map(({ namespace, name, data }) =>
    objectOf(
      ["v1", "Secret"],
      { namespace, name, resourceVersion: "1" },
      { type: "kubernetes.io/tls", data },
    ),
  );

const allowedRoutes = fc
  .record({
    namespaces: maybe(
      fc.constantFrom<object>(
        { from: "All" },
        { from: "Same" },
        { from: "None" },
        { from: "Selector", selector: { matchLabels: { team: "red" } } },
      ),
    ),
    kinds: maybe(
      fc.constantFrom<object[]>([{ kind: "HTTPRoute" }], [{ kind: "GRPCRoute" }, { kind: "UDPRoute" }], []),
    ),
  })
  .map(dense);

const certificateRef = fc
  .record({
    name: secretName,
    namespace: maybe(namespaceName),
    kind: fc.constantFrom(undefined, undefined, "Bucket"),
  })
  .map(dense);

const tlsEnded = fc
  .array(certificateRef, { minLength: 1, maxLength: 2 })
  .map((certificateRefs) => ({ mode: "Terminate", certificateRefs }));

const form = fc.oneof(
  fc.constantFrom({ protocol: "HTTP" }, { protocol: "HTTP" }, { protocol: "TCP" }, { protocol: "UDP" }),
  tlsEnded.map((tls) => ({ protocol: "HTTPS", tls })),
  fc.oneof(tlsEnded, fc.constant({ mode: "Passthrough" })).map((tls) => ({ protocol: "TLS", tls })),
);

const listeners = fc.uniqueArray(
  fc
    .record({
      name: listenerName,
      port: fc.constantFrom(80, 443, 8080, 9901, 15021),
      form,
      hostname: maybe(hostname),
      allowedRoutes: maybe(allowedRoutes),
    })
    .map(({ form: chosen, ...rest }) => dense({ ...rest, ...chosen })),
  { minLength: 1, maxLength: 4, selector: ({ name }) => name },
);

export const gateway: fc.Arbitrary<KubeObject> = fc
  .record({
    namespace: namespaceName,
    name: gatewayName,
    birth,
    gatewayClassName: fc.constantFrom("mc-wan", "mc-wan", "mc-wan", "other"),
    listeners,
    allowedListeners: maybe(
      fc.constantFrom({ namespaces: { from: "All" } }, { namespaces: { from: "Same" } }),
    ),
    addresses: maybe(
      fc.constantFrom([{ type: "IPAddress", value: "10.96.0.77" }], [{ type: "Hostname", value: "x" }]),
    ),
  })
  .map(({ namespace, name, birth: born, ...spec }) =>
    objectOf([gatewayApi, "Gateway"], { namespace, name, ...born }, { spec: dense(spec) }),
  );

export const listenerSet: fc.Arbitrary<KubeObject> = fc
  .record({
    namespace: namespaceName,
    name: gatewayName,
    birth,
    parent: gatewayName,
    of: maybe(namespaceName),
    listeners,
  })
  .map(({ namespace, name, birth: born, parent, of, listeners: added }) =>
    objectOf(
      [gatewayApi, "ListenerSet"],
      { namespace, name, ...born },
      {
        spec: { parentRef: dense({ name: parent, namespace: of }), listeners: added },
      },
    ),
  );

const parentRef = fc
  .record({
    kind: fc.constantFrom(undefined, undefined, undefined, undefined, undefined, "ListenerSet", "Service"),
    name: gatewayName,
    namespace: fc.constantFrom("c", "c", "c", "b-c", undefined),
    sectionName: fc.constantFrom(undefined, undefined, undefined, "http", "https", "tls"),
    port: fc.constantFrom(undefined, undefined, undefined, undefined, 80, 443),
  })
  .map(dense);

/** Routes of a kind; TLSRoutes have one rule always, and hostnames. */
function routeOf(kind: string, rule: fc.Arbitrary<object>): fc.Arbitrary<KubeObject> {
  const isTls = kind === "TLSRoute";
  const hostnames = fc.uniqueArray(hostname, { minLength: isTls ? 1 : 0, maxLength: 2 });
  const rules = fc.array(rule, { minLength: 1, maxLength: isTls ? 1 : 3 });
  return fc
    .record({
      namespace: namespaceName,
      name: fc.constantFrom("r", "s", "a-clusterset", "a-ingress"),
      birth,
      parentRefs: fc.array(parentRef, { minLength: 1, maxLength: 2 }),
      hostnames: isTls ? hostnames : maybe(hostnames),
      rules: isTls ? rules : maybe(rules),
    })
    .map(({ namespace, name, birth: born, ...spec }) =>
      objectOf([gatewayApi, kind], { namespace, name, ...born }, { spec: dense(spec) }),
    );
}

export const httpRoute = routeOf("HTTPRoute", httpRouteRule);
export const grpcRoute = routeOf("GRPCRoute", grpcRule);
export const tlsRoute = routeOf("TLSRoute", tlsRule);

export const referenceGrant: fc.Arbitrary<KubeObject> = fc
  .record({
    namespace: fc.oneof(
      { weight: 5, arbitrary: namespaceName },
      { weight: 1, arbitrary: fc.constant("mc-wan") },
    ),
    name: fc.constantFrom("g", "h"),
    kind: fc.constantFrom("HTTPRoute", "HTTPRoute", "GRPCRoute", "TLSRoute", "Gateway"),
    from: namespaceName,
    to: fc
      .record({
        group: fc.constantFrom("", "", "example.com"),
        kind: fc.constantFrom("Service", "Service", "Secret"),
      })
      .chain((to) => maybe(serviceName).map((name) => dense({ ...to, name }))),
  })
  .map(({ namespace, name, kind, from, to }) =>
    objectOf(
      ["gateway.networking.k8s.io/v1beta1", "ReferenceGrant"],
      { namespace, name },
      {
        spec: { from: [{ group: "gateway.networking.k8s.io", kind, namespace: from }], to: [to] },
      },
    ),
  );

const limit = fc.integer({ min: 1, max: 1_000_000 });
const importLimits = fc
  .record({
    requestsPerSecond: fc.option(limit, { nil: undefined }),
    concurrentRequests: fc.option(limit, { nil: undefined }),
  })
  .map((limits) => dense(limits));

/** L7 rules: the ServiceImport of ours, not of MCS. */
export const serviceImport: fc.Arbitrary<KubeObject> = fc
  .record({
    namespace: namespaceName,
    name: serviceName,
    birth,
    rules: fc.array(importRule, { minLength: 1, maxLength: 3 }),
    tcp: fc.option(tcpRefs, { nil: undefined, freq: 4 }),
    limits: fc.option(importLimits, { nil: undefined }),
  })
  .map(({ namespace, name, birth: born, rules, tcp, limits }) =>
    objectOf(
      ["mc-wan.l7mp.io/v1alpha1", "ServiceImport"],
      { namespace, name, ...born },
      {
        spec: dense({ http: { rules }, tcp: tcp && { backendRefs: tcp }, limits }),
      },
    ),
  );
