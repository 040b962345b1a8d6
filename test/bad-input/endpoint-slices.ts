/** EndpointSlices as nobody should write them; the route `odd` leads to their Service. */
import type { KubeObject } from "../../src/model/kube-object.ts";
import { ruled, service, slice, written } from "./case.ts";
import type { BadInput } from "./case.ts";

const toOdd = [service("odd"), ruled("odd", { backendRefs: [{ name: "odd", port: 80 }] })];
const at = "HTTPRoute/shop/odd";
const among = (...slices: readonly KubeObject[]): Pick<BadInput, "objects" | "at"> => ({
  at,
  objects: [...toOdd, ...slices],
});
const one = (endpoint: object, rest: object = {}): KubeObject =>
  slice("odd", "x", { endpoints: [endpoint], ...rest });
const good = slice("odd", "good", { endpoints: [{ addresses: ["198.18.1.20"] }] });
const taken = /"ResolvedRefs","status":"True"/;
const exported = written(["multicluster.x-k8s.io/v1beta1", "ServiceExport"], "odd");

/** 50,000, in the order of their texts. */
const addresses = Array.from({ length: 65_536 }, (_, index) => `198.19.${index >> 8}.${index & 255}`)
  .slice(0, 50_000)
  .sort();

export const endpointSlices: readonly BadInput[] = [
  ...["127.0.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1"].map((address) => ({
    what: `the address ${address}`,
    ...among(good, one({ addresses: [address] })),
    says: /may not be/,
    endpoints: ["198.18.1.20"],
  })),
  ...["::ffff:198.18.1.1", "not an address", "198.18.1.1/32", "198.18.01.1"].map((address) => ({
    what: `the address ${address}`,
    ...among(good, one({ addresses: [address] })),
    says: /addresses\[0\]/,
    endpoints: ["198.18.1.20"],
  })),
  ...["239.1.1.1", "255.255.255.255", "0.0.0.1"].map((address) => ({
    what: `the address ${address}, which the API server takes`,
    ...among(good, one({ addresses: [address] })),
    says: taken,
    endpoints: ["198.18.1.20"],
  })),
  {
    what: "an IPv6 address with a zone",
    ...among(good, one({ addresses: ["fe80::1%eth0"] }, { addressType: "IPv6" })),
    says: /addresses\[0\]/,
    endpoints: ["198.18.1.20"],
  },
  {
    what: "an IPv6 address",
    ...among(good, one({ addresses: ["fd00::1"] }, { addressType: "IPv6" })),
    says: taken,
    endpoints: ["198.18.1.20"],
  },
  {
    what: "a name",
    ...among(good, one({ addresses: ["metadata.example.org"] }, { addressType: "FQDN" })),
    says: taken,
    endpoints: ["198.18.1.20"],
  },
  {
    what: "an address of nobody, exported",
    at: "ServiceExport/shop/odd",
    objects: [...toOdd, one({ addresses: ["239.1.1.1"] }), exported],
    says: /UnusableAddress|"Ready","status":"(Unknown|False)"/,
    endpoints: [],
  },
  {
    what: "one address twice, in one slice and in two",
    ...among(
      slice("odd", "x", { endpoints: [{ addresses: ["198.18.1.20"] }, { addresses: ["198.18.1.20"] }] }),
      good,
    ),
    says: taken,
    endpoints: ["198.18.1.20"],
  },
  {
    what: "ready: null",
    ...among(one({ addresses: ["198.18.1.21"], conditions: { ready: null } })),
    says: taken,
    endpoints: ["198.18.1.21"],
  },
  {
    what: "a Pod that is leaving and serves, where another is ready",
    ...among(
      good,
      one({ addresses: ["198.18.1.21"], conditions: { ready: false, serving: true, terminating: true } }),
    ),
    says: taken,
    endpoints: ["198.18.1.20"],
  },
  {
    what: "a Pod that is leaving and serves, alone",
    ...among(
      one({ addresses: ["198.18.1.21"], conditions: { ready: false, serving: true, terminating: true } }),
    ),
    says: taken,
    endpoints: ["198.18.1.21"],
  },
  {
    what: "a port without a number",
    ...among(good, one({ addresses: ["198.18.1.21"] }, { ports: [{ name: "http" }] })),
    says: taken,
    endpoints: ["198.18.1.20"],
  },
  {
    what: "no ports",
    ...among(good, one({ addresses: ["198.18.1.21"] }, { ports: null })),
    says: taken,
    endpoints: ["198.18.1.20"],
  },
  {
    what: "the port 70000",
    ...among(good, one({ addresses: ["198.18.1.21"] }, { ports: [{ name: "http", port: 70_000 }] })),
    says: /"ResolvedRefs","status":"True"|port/,
    endpoints: ["198.18.1.20"],
  },
  {
    what: "the label of another Service",
    ...among(
      good,
      slice("good", "forged", {
        metadata: { labels: { "kubernetes.io/service-name": "nobody" } },
        endpoints: [{ addresses: ["198.18.1.21"] }],
      }),
    ),
    says: taken,
    endpoints: ["198.18.1.20"],
  },
  {
    what: "the labels of another cluster's slice",
    ...among(
      good,
      slice("odd", "forged", {
        metadata: {
          labels: {
            "multicluster.kubernetes.io/service-name": "odd",
            "multicluster.kubernetes.io/source-cluster": "home",
          },
        },
        endpoints: [{ addresses: ["198.18.1.21"] }],
      }),
    ),
    says: taken,
    endpoints: ["198.18.1.20"],
  },
  {
    what: "null among the endpoints",
    ...among(good, slice("odd", "x", { endpoints: [null] })),
    says: /endpoints\[0\]/,
    endpoints: ["198.18.1.20"],
  },
  {
    what: "50 slices of 1,000 endpoints",
    ...among(
      ...Array.from({ length: 50 }, (_, part) =>
        slice("odd", `part-${String(part).padStart(2, "0")}`, {
          endpoints: addresses.slice(part * 1_000, (part + 1) * 1_000).map((address) => ({
            addresses: [address],
          })),
        }),
      ),
    ),
    says: taken,
    endpoints: addresses,
  },
  {
    what: "1,001 endpoints",
    ...among(
      good,
      slice("odd", "x", {
        endpoints: Array.from({ length: 1_001 }, (_, index) => ({
          addresses: [`198.19.${index >> 8}.${index & 255}`],
        })),
      }),
    ),
    says: /must have at most 1000/,
    endpoints: ["198.18.1.20"],
  },
];
