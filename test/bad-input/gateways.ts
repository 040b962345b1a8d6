/** Gateways and HTTPRoutes as nobody should write them. */
import type { KubeObject } from "../../src/model/kube-object.ts";
import { gatewayApi, route, ruled, written } from "./case.ts";
import type { BadInput } from "./case.ts";

const gateway = (...listeners: readonly object[]): KubeObject =>
  written([gatewayApi, "Gateway"], "odd", {
    spec: {
      gatewayClassName: "mc-wan",
      listeners: listeners.map((one, index) => ({ name: `l${index}`, port: 80, protocol: "HTTP", ...one })),
    },
  });
const header = (name: string, value: string): object => ({
  filters: [{ type: "RequestHeaderModifier", requestHeaderModifier: { set: [{ name, value }] } }],
});
const path = (value: string, type = "PathPrefix"): object => ({ matches: [{ path: { type, value } }] });
const weights = (count: number, weight: number): object => ({
  backendRefs: Array.from({ length: count }, () => ({ name: "good", port: 80, weight })),
});

export const gateways: readonly BadInput[] = [
  {
    what: "two listeners of one port and hostname",
    objects: [gateway({ hostname: "a.example.org" }, { hostname: "a.example.org" })],
    says: /Combination of port, protocol and hostname must be unique/,
  },
  {
    what: "two listeners of one port, HTTP and HTTPS",
    objects: [gateway({}, { protocol: "HTTPS", tls: { certificateRefs: [{ name: "site" }] } })],
    says: /ListenersNotValid.*ProtocolConflict/,
  },
  { what: "a listener for *", objects: [gateway({ hostname: "*" })], says: /listeners\[0\]\.hostname/ },
  {
    what: "a listener for *.com",
    objects: [gateway({ hostname: "*.com" })],
    says: /"Accepted","status":"True"/,
  },
  { what: "a hostname with a port", objects: [gateway({ hostname: "a.example.org:80" })], says: /hostname/ },
  {
    what: "a hostname with a dot at its end",
    objects: [gateway({ hostname: "a.example.org." })],
    says: /hostname/,
  },
  {
    what: "64 listeners",
    objects: [gateway(...Array.from({ length: 64 }, (_, index) => ({ hostname: `h${index}.example.org` })))],
    says: /"Accepted","status":"True"/,
  },
  {
    what: "65 listeners",
    objects: [gateway(...Array.from({ length: 65 }, (_, index) => ({ hostname: `h${index}.example.org` })))],
    says: /Too many: 65/,
  },
  {
    what: "the port of Envoy's admin interface",
    objects: [gateway({ port: 9901 })],
    says: /PortUnavailable/,
  },
  { what: "UDP", objects: [gateway({ protocol: "UDP" })], says: /UnsupportedProtocol/ },
  {
    what: "a listener named constructor",
    objects: [gateway({ name: "constructor", port: 81 })],
    says: /"Accepted","status":"True"/,
  },
  {
    what: "a Gateway of another class",
    objects: [
      written([gatewayApi, "Gateway"], "other", {
        spec: { gatewayClassName: "other", listeners: [{ name: "http", port: 80, protocol: "HTTP" }] },
      }),
      route("odd", { parentRefs: [{ name: "other" }] }),
    ],
    says: /^$/,
  },
  {
    what: "a section that is not there",
    objects: [route("odd", { parentRefs: [{ name: "web", sectionName: "nowhere" }] })],
    says: /NoMatchingParent/,
  },
  {
    what: "a section named toString",
    objects: [route("odd", { parentRefs: [{ name: "web", sectionName: "tostring" }] })],
    says: /NoMatchingParent/,
  },
  {
    what: "a port that no listener has",
    objects: [route("odd", { parentRefs: [{ name: "web", port: 81 }] })],
    says: /NoMatchingParent/,
  },
  {
    what: "a backend in kube-system",
    objects: [ruled("odd", { backendRefs: [{ name: "kube-dns", namespace: "kube-system", port: 53 }] })],
    says: /RefNotPermitted/,
  },
  {
    what: "a backend that is no Service",
    objects: [ruled("odd", { backendRefs: [{ group: "example.com", kind: "Bucket", name: "a" }] })],
    says: /InvalidKind/,
  },
  {
    what: "a backend named constructor",
    objects: [ruled("odd", { backendRefs: [{ name: "constructor", port: 80 }] })],
    says: /BackendNotFound/,
  },
  { what: "no weight at all", objects: [ruled("odd", weights(2, 0))], says: /"Accepted","status":"True"/ },
  {
    what: "weights that come to 16 million",
    objects: [ruled("odd", weights(16, 1_000_000))],
    says: /"Accepted","status":"True"/,
  },
  { what: "17 backends", objects: [ruled("odd", weights(17, 1))], says: /Too many: 17/ },
  {
    what: "a weight over a million",
    objects: [ruled("odd", weights(1, 1_000_001))],
    says: /less than or equal to 1000000/,
  },
  { what: "a weight beyond 2^53", objects: [ruled("odd", weights(1, 2 ** 60))], says: /weight/ },
  {
    what: "an expression with catastrophic repetition",
    objects: [ruled("odd", path("/(a+)+$", "RegularExpression"))],
    says: /"Accepted","status":"True"/,
  },
  {
    what: "an expression with a look-ahead",
    objects: [ruled("odd", path("/a(?=b)", "RegularExpression"))],
    says: /UnsupportedValue/,
  },
  {
    what: "an expression of 10 KB",
    objects: [ruled("odd", path(`/${"a".repeat(10_000)}`, "RegularExpression"))],
    says: /Too long/,
  },
  { what: "a path without /", objects: [ruled("odd", path("a"))], says: /must be an absolute path/ },
  { what: "a path with //", objects: [ruled("odd", path("/a//b"))], says: /must not contain '\/\/'/ },
  {
    what: "a path with an escaped /",
    objects: [ruled("odd", path("/a%2fb"))],
    says: /must not contain '%2f'/,
  },
  {
    what: "a path that goes up",
    objects: [ruled("odd", path("/a/../b"))],
    says: /must not contain '\/\.\.\/'/,
  },
  { what: "a path with #", objects: [ruled("odd", path("/a#b"))], says: /must not contain '#'/ },
  { what: "a path with *", objects: [ruled("odd", path("/a*"))], says: /"Accepted","status":"True"/ },
  { what: "a header named :path", objects: [ruled("odd", header(":path", "/x"))], says: /name/ },
  { what: "a header named bad name", objects: [ruled("odd", header("bad name", "x"))], says: /name/ },
  {
    what: "a header named __proto__",
    objects: [ruled("odd", header("__proto__", "x"))],
    says: /"Accepted","status":"True"/,
  },
  {
    what: "a header of Envoy's own",
    objects: [ruled("odd", header("x-envoy-original-path", "/x"))],
    says: /UnsupportedValue/,
  },
  {
    what: "a header with a line end",
    objects: [ruled("odd", header("x-a", "a\r\nx-b: b"))],
    says: /UnsupportedValue/,
  },
  {
    what: "a header that asks Envoy to fill it in",
    objects: [ruled("odd", header("x-a", "%REQ(authorization)% %% %"))],
    says: /"Accepted","status":"True"/,
  },
  {
    what: "a query parameter named constructor",
    objects: [ruled("odd", { matches: [{ queryParams: [{ name: "constructor", value: "1" }] }] })],
    says: /"Accepted","status":"True"/,
  },
  {
    what: "a time-out before now",
    objects: [ruled("odd", { timeouts: { request: "-1s" } })],
    says: /timeouts\.request/,
  },
  {
    what: "a time-out without end",
    objects: [ruled("odd", { timeouts: { request: "99999999h" } })],
    says: /timeouts\.request/,
  },
  {
    what: "a time-out of 0 s, which is none",
    objects: [ruled("odd", { timeouts: { request: "0s" } })],
    says: /"Accepted","status":"True"/,
  },
  {
    what: "a redirect beside backends",
    objects: [ruled("odd", { filters: [{ type: "RequestRedirect", requestRedirect: { port: 81 } }] })],
    says: /must not be used together with backendRefs/,
  },
  {
    what: "a redirect without a port beside a mirror",
    objects: [
      route("odd", {
        rules: [
          {
            filters: [
              { type: "RequestRedirect", requestRedirect: { hostname: "r.example.org" } },
              { type: "RequestMirror", requestMirror: { backendRef: { name: "good", port: 80 } } },
            ],
          },
        ],
      }),
    ],
    says: /"Accepted","status":"True"/,
  },
  {
    what: "equal matches twice",
    objects: [
      route("odd", {
        rules: [
          { ...path("/a"), backendRefs: [{ name: "good", port: 80 }] },
          { ...path("/a"), backendRefs: [{ name: "none", port: 80 }] },
        ],
      }),
    ],
    says: /BackendNotFound/,
  },
];
