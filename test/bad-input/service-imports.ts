/** Rules of imported services as nobody should write them. */
import { over, rules } from "./case.ts";
import type { BadInput } from "./case.ts";

const accepted = /"Accepted","status":"True".*"ResolvedRefs","status":"True"/;
const high = ["wan/payment-shop-high"];
const times = (count: number, what: unknown): readonly unknown[] => Array.from({ length: count }, () => what);
const odd = (...list: readonly unknown[]): Pick<BadInput, "objects"> => ({
  objects: [rules("payment", ...list)],
});
const one = (rule: object): Pick<BadInput, "objects"> => odd({ backendRefs: [over("high")], ...rule });
const path = (value: string, type = "PathPrefix"): object => ({ matches: [{ path: { type, value } }] });
const set = (name: string, value: string): object => ({
  filters: [{ type: "RequestHeaderModifier", requestHeaderModifier: { set: [{ name, value }] } }],
});
const rewrite = (urlRewrite: object): object => ({ type: "URLRewrite", urlRewrite });

/** The API server doesn't take it. */
const refused = (what: string, objects: Pick<BadInput, "objects">, says: RegExp): BadInput => ({
  what,
  ...objects,
  says,
});
/** Taken, told, and closed. */
const closed = (what: string, objects: Pick<BadInput, "objects">, says: RegExp): BadInput => ({
  ...refused(what, objects, says),
  ways: [],
});
/** Taken for what it says. */
const taken = (what: string, objects: Pick<BadInput, "objects">, ways = high): BadInput => ({
  ...refused(what, objects, accepted),
  ways,
});

export const serviceImports: readonly BadInput[] = [
  refused("0 rules", odd(), /at least 1 items/),
  refused("1,000 rules", odd(...times(1_000, { backendRefs: [over("high")] })), /at most 16 items|Too many/),
  refused("null among the rules", odd(null), /rules\[0\]/),
  taken(
    "16 rules of 8 matches of 8 headers with expressions",
    odd(
      ...times(16, {
        matches: times(8, {
          headers: Array.from({ length: 8 }, (_, index) => ({
            type: "RegularExpression",
            name: `x-${index}`,
            value: "^(a|b)+$",
          })),
        }),
        backendRefs: [over("high")],
      }),
    ),
  ),
  taken("an expression with catastrophic repetition", one(path("/(a+)+$", "RegularExpression"))),
  closed("an expression with a look-ahead", one(path("/a(?=b)", "RegularExpression")), /UnsupportedValue/),
  closed("an expression that doesn't end", one(path("/(", "RegularExpression")), /UnsupportedValue/),
  closed(
    "an expression that compiles to too much",
    one(path("/(a{500}){500}", "RegularExpression")),
    /UnsupportedValue/,
  ),
  closed(
    "a header's expression with a look-behind",
    one({ matches: [{ headers: [{ type: "RegularExpression", name: "x", value: "(?<=a)b" }] }] }),
    /UnsupportedValue/,
  ),
  refused("an expression of 10 KB", one(path(`/${"a".repeat(10_000)}`, "RegularExpression")), /Too long/),
  taken(
    "equal matches twice: the first rule's count",
    odd({ ...path("/a"), backendRefs: [over("high")] }, { ...path("/a"), backendRefs: [over("low")] }),
    [...high, "wan/payment-shop-low"],
  ),
  refused("a path without /", one(path("a")), /a path starts with '\/'/),
  refused("a path with an escaped /", one(path("/a%2Fb")), /must not contain '%2F'/),
  taken("a path with *", one(path("/a*"))),
  refused("a path with ?", one(path("/a?b")), /escape the others/),
  refused("a path with #", one(path("/a#b")), /must not contain '#'/),
  closed(
    "a Service of another namespace",
    one({ backendRefs: [{ name: "kube-dns", namespace: "kube-system", port: 53 }] }),
    /RefNotPermitted/,
  ),
  closed(
    "a dummy that nobody has",
    one({ backendRefs: [{ name: "payment-shop-none", namespace: "mc-wan" }] }),
    /PolicyNotFound/,
  ),
  closed(
    "a dummy of another namespace's service",
    one({ backendRefs: [{ name: "dns-kube-system-high", namespace: "mc-wan" }] }),
    /BackendNotFound|RefNotPermitted/,
  ),
  closed("a policy that nobody has", one({ backendRefs: [over("none")] }), /PolicyNotFound|BackendNotFound/),
  closed(
    "a policy named constructor",
    one({ backendRefs: [over("constructor")] }),
    /PolicyNotFound|BackendNotFound/,
  ),
  closed("no backends", one({ backendRefs: [] }), /has no backendRefs/),
  taken(
    "itself",
    one({ backendRefs: [{ group: "multicluster.x-k8s.io", kind: "ServiceImport", name: "payment" }] }),
  ),
  taken(
    "a service whose rules lead here",
    one({ backendRefs: [{ group: "multicluster.x-k8s.io", kind: "ServiceImport", name: "stats" }] }),
    ["wan/stats-shop-high"],
  ),
  closed(
    "itself under its shadow's name",
    one({ backendRefs: [{ name: "payment-clusterset", port: 8080 }] }),
    /BackendNotFound|RefNotPermitted|InvalidKind/,
  ),
  taken(
    "no weight at all",
    one({
      backendRefs: [
        { ...over("high"), weight: 0 },
        { ...over("low"), weight: 0 },
      ],
    }),
    [],
  ),
  taken(
    "weights of a million",
    one({
      backendRefs: [
        { ...over("high"), weight: 1_000_000 },
        { ...over("low"), weight: 1_000_000 },
      ],
    }),
    [...high, "wan/payment-shop-low"],
  ),
  refused(
    "a weight over a million",
    one({ backendRefs: [{ ...over("high"), weight: 1_000_001 }] }),
    /less than or equal to 1000000/,
  ),
  refused("a weight beyond 2^53", one({ backendRefs: [{ ...over("high"), weight: 2 ** 60 }] }), /weight/),
  closed(
    "a hostname rewritten",
    one({ filters: [rewrite({ hostname: "other.shop.svc.cluster.local" })] }),
    /HostRewrite/,
  ),
  closed(
    "a hostname rewritten, and Host set",
    one({ filters: [rewrite({ hostname: "a.b" }), ...filtersOf(set("Host", "a.b"))] }),
    /HostRewrite/,
  ),
  closed(
    "a hostname rewritten for one backend",
    one({ backendRefs: [{ ...over("high"), filters: [rewrite({ hostname: "a.b" })] }] }),
    /HostRewrite/,
  ),
  closed("the header host", one(set("host", "a.b")), /HostRewrite/),
  refused("the header :path", one(set(":path", "/x")), /name/),
  refused("the header :authority", one(set(":authority", "a.b")), /name/),
  refused("the header bad name", one(set("bad name", "x")), /name/),
  closed(
    "a header of Envoy's own",
    one(set("x-envoy-original-path", "/x")),
    /UnsupportedValue|HostRewrite|UnsupportedFilter/,
  ),
  closed(
    "a header of the gateways' own",
    one(set("x-mc-wan-port", "5432")),
    /UnsupportedValue|HostRewrite|UnsupportedFilter/,
  ),
  closed("a header with a line end", one(set("x-a", "a\r\nx-b: b")), /UnsupportedValue/),
  taken("a header that asks Envoy to fill it in", one(set("x-a", "%REQ(authorization)% %% %"))),
  taken("a header named __proto__", one(set("__proto__", "x"))),
  taken("a time-out of 0 s, which is none", one({ timeouts: { request: "0s" } })),
  refused("a time-out before now", one({ timeouts: { request: "-1s" } }), /timeouts\.request/),
  refused("a time-out without end", one({ timeouts: { request: "99999999h" } }), /timeouts\.request/),
  taken("the longest time-out", one({ timeouts: { request: "99999h" } })),
  {
    what: "a mirror over the WAN, which is left out",
    ...one({
      filters: [
        {
          type: "RequestMirror",
          requestMirror: { backendRef: { name: "payment-shop-low", namespace: "mc-wan" } },
        },
      ],
    }),
    says: /"ResolvedRefs","status":"False","reason":"UnsupportedFilter"/,
    ways: high,
  },
  refused(
    "a redirect beside backends",
    one({ filters: [{ type: "RequestRedirect", requestRedirect: {} }] }),
    /reaches no backend/,
  ),
  taken(
    "a redirect without a port",
    odd({ filters: [{ type: "RequestRedirect", requestRedirect: { hostname: "r.example.org" } }] }),
    [],
  ),
  taken(
    "a redirect beside a mirror",
    odd({
      filters: [
        { type: "RequestRedirect", requestRedirect: { port: 81 } },
        { type: "RequestMirror", requestMirror: { backendRef: { name: "good", port: 80 } } },
      ],
    }),
    [],
  ),
];

function filtersOf(rule: object): readonly object[] {
  return (rule as { filters: readonly object[] }).filters;
}
