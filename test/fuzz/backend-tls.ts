/** Random BackendTLSPolicies and the ConfigMaps of authorities that they name. */
import fc from "fast-check";
import type { KubeObject } from "../../src/model/kube-object.ts";
import { authorityData } from "./certificates.ts";
import { birth, dense, maybe, namespaceName, objectOf, serviceName } from "./names.ts";

const mapName = fc.constantFrom("authority", "authority", "other");

export const configMap: fc.Arbitrary<KubeObject> = fc
  .record({
    namespace: namespaceName,
    name: mapName,
    data: fc.constantFrom<object | undefined>(
      authorityData,
      { "ca.crt": `\uFEFF${authorityData["ca.crt"] ?? ""}`.replaceAll("\n", "\r\n") },
      { "ca.crt": "no certificate" },
      { "ca.crt": "" },
      {},
      undefined,
    ),
  })
  .map(({ namespace, name, data }) => objectOf(["v1", "ConfigMap"], { namespace, name }, { data }));

const target = fc
  .record({
    kind: fc.constantFrom("Service", "Service", "Service", "Bucket"),
    name: serviceName,
    sectionName: maybe(fc.constantFrom("http", "http-0", "nowhere")),
  })
  .map(({ kind, ...rest }) => dense({ group: "", kind, ...rest }));

const authorities = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .array(
        fc.record({
          group: fc.constant(""),
          kind: fc.constantFrom("ConfigMap", "ConfigMap", "Secret"),
          name: mapName,
        }),
        {
          minLength: 1,
          maxLength: 2,
        },
      )
      .map((caCertificateRefs) => ({ caCertificateRefs })),
  },
  { weight: 1, arbitrary: fc.constant({ wellKnownCACertificates: "System" }) },
);

export const backendTlsPolicy: fc.Arbitrary<KubeObject> = fc
  .record({
    namespace: namespaceName,
    name: fc.constantFrom("p", "q"),
    birth,
    targetRefs: fc.array(target, { minLength: 1, maxLength: 2 }),
    authorities,
    hostname: fc.constantFrom("example.com", "a.c.svc.cluster.local"),
    subjectAltNames: maybe(
      fc.constantFrom(
        [{ type: "Hostname", hostname: "*.example.com" }],
        [{ type: "URI", uri: "spiffe://example.com/a" }],
      ),
    ),
  })
  .map(({ namespace, name, birth: born, targetRefs, authorities: chosen, ...validation }) =>
    objectOf(
      ["gateway.networking.k8s.io/v1", "BackendTLSPolicy"],
      { namespace, name, ...born },
      { spec: { targetRefs, validation: dense({ ...validation, ...chosen }) } },
    ),
  );
