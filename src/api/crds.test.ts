/** The CRDs on a real API server: what it refuses and with which words, what it takes, what it fills in. */
import { readFile } from "node:fs/promises";
import { expect } from "chai";
import { parse } from "yaml";
import { apiRequest } from "../../test/api-request.ts";
import type { ApiAnswer, ApiRequest } from "../../test/api-request.ts";
import { eventually } from "../../test/home-cluster.ts";
import { startKubeApiServer, startTimeoutMs } from "../../test/kube-api-server.ts";
import type { KubeApiServer } from "../../test/kube-api-server.ts";
import { parseGatewayAdvertisement } from "./gateway-advertisement.ts";
import { parseServiceAdvertisement } from "./service-advertisement.ts";
import { parseServiceImport } from "./service-import.ts";
import { parseWANPolicy } from "./wan-policy.ts";

const apiVersion = "mc-wan.l7mp.io/v1alpha1";
const base = "/apis/mc-wan.l7mp.io/v1alpha1";
type Json = Record<string, unknown>;

/** What a test changes in the CRD of WANPolicies. */
interface PolicyCrd {
  readonly spec: {
    readonly versions: readonly {
      readonly schema: {
        readonly openAPIV3Schema: {
          readonly properties: {
            readonly spec: {
              properties: Record<string, object>;
              "x-kubernetes-validations": readonly object[];
            };
          };
        };
      };
    }[];
  };
}

const policy = (spec: Json, name = "p"): Json => ({
  apiVersion,
  kind: "WANPolicy",
  metadata: { name },
  spec: { tunnel: "business", port: 31111, ...spec },
});
const rules = (...list: Json[]): Json => imported({ http: { rules: list } });
const imported = (spec: Json): Json => ({
  apiVersion,
  kind: "ServiceImport",
  metadata: { name: "payment", namespace: "default" },
  spec,
});
const overPolicy: Json = { group: "mc-wan.l7mp.io", kind: "WANPolicy", name: "sd-wan-priority-low" };
const dummy: Json = { name: "payment-secure-sd-wan-priority-high", namespace: "mc-wan" };
const withFilters = (...filters: Json[]): Json => rules({ filters, backendRefs: [overPolicy] });
const withPath = (value: string, type = "PathPrefix"): Json =>
  rules({ matches: [{ path: { type, value } }], backendRefs: [overPolicy] });
const service = (spec: Json): Json => ({
  apiVersion,
  kind: "ServiceAdvertisement",
  metadata: { name: "payment", namespace: "default" },
  spec: {
    formatVersion: 1,
    type: "ClusterSetIP",
    exportTime: "2026-01-02T03:04:05Z",
    ports: [{ name: "http", protocol: "TCP", port: 8080 }],
    ipFamilies: ["IPv4"],
    pool: "mc-wan-ingress",
    readyBackends: [{ zone: "a", count: 3 }],
    ...spec,
  },
});
const pool = (spec: Json): Json => ({
  apiVersion,
  kind: "GatewayAdvertisement",
  metadata: { name: "mc-wan-ingress", namespace: "default" },
  spec: { formatVersion: 1, mode: "PodIP", endpoints: [], ...spec },
});

/** An AccessPolicy with one rule for clients. */
const letsIn = (...from: Json[]): Json => ({
  apiVersion,
  kind: "AccessPolicy",
  metadata: { name: "a", namespace: "default" },
  spec: {
    targetRefs: [{ group: "multicluster.x-k8s.io", kind: "ServiceExport", name: "payment" }],
    rules: [{ from }],
  },
});

const times = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index));

/** What is written, the object, and words of the refusal. */
const refused: readonly (readonly [string, Json, string])[] = [
  ...[0, 1, 22, 1023, 20000, 29999, 65536, -1].map(
    (port) => [`port ${port}`, policy({ port }), "port must be within 1024-19999 or 30000-65535"] as const,
  ),
  ...[9901, 15000, 15001, 15006, 15021, 15090, 18000, 19000, 19001].map(
    (port) =>
      [`port ${port}`, policy({ port }), "are used by the gateways themselves: choose another one"] as const,
  ),
  ["a port in words", policy({ port: "http" }), "must be of type integer"],
  ["no port", policy({ port: undefined }), "spec.port: Required value"],
  ["no tunnel", policy({ tunnel: undefined }), "spec.tunnel: Required value"],
  ["an empty tunnel", policy({ tunnel: "" }), "spec.tunnel"],
  ["a tunnel with a space", policy({ tunnel: "a b" }), "spec.tunnel"],
  ["DSCP 64", policy({ dscp: 64 }), "should be less than or equal to 63"],
  ["DSCP -1", policy({ dscp: -1 }), "should be greater than or equal to 0"],
  ["101 % loss", policy({ sla: { lossPercent: 101 } }), "should be less than or equal to 100"],
  ["a latency below 0", policy({ sla: { latencyMs: -1 } }), "should be greater than or equal to 0"],
  [
    "a policy's name of 41 characters",
    policy({}, "a".repeat(41)),
    "a DNS label (lower-case letters, digits and '-'",
  ],
  ["a policy's name with a dot", policy({}, "a.b"), "a DNS label (lower-case letters, digits and '-'"],

  ["an import that says nothing", imported({}), "give it at least one of them"],
  ["no rules", rules(), "should have at least 1 items"],
  ["17 rules", rules(...times(17, () => ({}))), "must have at most 16 items"],
  [
    "129 matches",
    rules(...[64, 64, 1].map((count) => ({ matches: times(count, () => ({})) }))),
    "at most 128 matches fit",
  ],
  ["two rules of one name", rules({ name: "a" }, { name: "a" }), "name of a rule must be unique"],
  [
    "a backend twice",
    rules({ backendRefs: [overPolicy, { ...overPolicy, weight: 2 }] }),
    "may stand only once in a rule",
  ],
  ["a backend without a name", rules({ backendRefs: [{ port: 1 }] }), "name: Required value"],
  ["a weight below 0", rules({ backendRefs: [{ ...overPolicy, weight: -1 }] }), "greater than or equal to 0"],
  [
    "port 65536 of a backend",
    rules({ backendRefs: [{ name: "a", port: 65536 }] }),
    "less than or equal to 65535",
  ],
  ["a relative path", withPath("payment"), "a path starts with '/'"],
  ["a path with //", withPath("/a//b"), "must not contain '//'"],
  ["a path with /../", withPath("/a/../b"), "must not contain '/../'"],
  ["a path that ends with /..", withPath("/a/.."), "must not end with '/..'"],
  ["a path with an escaped slash", withPath("/a%2fb", "Exact"), "must not contain '%2f'"],
  ["a path with a space", withPath("/a b"), "escape the others"],
  ["an unknown method", rules({ matches: [{ method: "get" }] }), 'Unsupported value: "get"'],
  [
    "one header twice",
    rules({
      matches: [
        {
          headers: [
            { name: "a", value: "1" },
            { name: "a", value: "2" },
          ],
        },
      ],
    }),
    "Duplicate value",
  ],
  ["an unknown filter", withFilters({ type: "ExtensionRef" }), 'Unsupported value: "ExtensionRef"'],
  [
    "a filter without its field",
    withFilters({ type: "URLRewrite" }),
    "urlRewrite belongs to type URLRewrite",
  ],
  [
    "a filter with another one's field",
    withFilters({ type: "RequestMirror", requestMirror: { backendRef: dummy }, urlRewrite: {} }),
    "urlRewrite belongs to type URLRewrite",
  ],
  [
    "a filter twice",
    withFilters(
      ...times(2, () => ({ type: "RequestHeaderModifier", requestHeaderModifier: { remove: ["a"] } })),
    ),
    "RequestHeaderModifier may stand only once",
  ],
  [
    "a redirect and a rewrite",
    rules({
      filters: [
        { type: "RequestRedirect", requestRedirect: {} },
        { type: "URLRewrite", urlRewrite: {} },
      ],
    }),
    "use either RequestRedirect or URLRewrite",
  ],
  [
    "a redirect with a backend",
    withFilters({ type: "RequestRedirect", requestRedirect: { port: 1 } }),
    "reaches no backend",
  ],
  [
    "a replaced prefix where none is matched",
    rules({
      matches: [{ path: { type: "Exact", value: "/a" } }],
      filters: [
        { type: "URLRewrite", urlRewrite: { path: { type: "ReplacePrefixMatch", replacePrefixMatch: "/" } } },
      ],
    }),
    "give the rule exactly one match, of type PathPrefix",
  ],
  [
    "a replaced prefix of a backend where two are matched",
    rules({
      matches: [{ path: { value: "/a" } }, { path: { value: "/b" } }],
      backendRefs: [
        {
          ...overPolicy,
          filters: [
            {
              type: "URLRewrite",
              urlRewrite: { path: { type: "ReplacePrefixMatch", replacePrefixMatch: "/" } },
            },
          ],
        },
      ],
    }),
    "within backendRefs, URLRewrite with ReplacePrefixMatch",
  ],
  [
    "a path replaced in two ways",
    withFilters({
      type: "URLRewrite",
      urlRewrite: { path: { type: "ReplaceFullPath", replacePrefixMatch: "/" } },
    }),
    "set both or neither",
  ],
  ["a time-out without a unit", rules({ timeouts: { request: "10" } }), "timeouts.request"],
  [
    "a try longer than all",
    rules({ timeouts: { request: "1s", backendRequest: "2s" } }),
    "make backendRequest at most request",
  ],
  [
    "a mirror of 101 %",
    withFilters({ type: "RequestMirror", requestMirror: { backendRef: dummy, percent: 101 } }),
    "less than or equal to 100",
  ],
  ["tcp without a backend", imported({ tcp: { backendRefs: [] } }), "should have at least 1 items"],
  [
    "a tcp backend twice",
    imported({ tcp: { backendRefs: [dummy, dummy] } }),
    "may stand only once in a rule",
  ],

  ["a client of whom nothing is said", letsIn({}), "should have at least 1 properties"],
  [
    "a service account without a namespace",
    letsIn({ cluster: "east", serviceAccount: "web" }),
    "a serviceAccount is one of a namespace",
  ],
  ["every namespace by a star", letsIn({ namespace: "*" }), "namespace"],
  ["a namespace with a slash", letsIn({ namespace: "shop/web" }), "namespace"],
  ["a service account with a slash", letsIn({ namespace: "shop", serviceAccount: "a/b" }), "serviceAccount"],
  ["an empty service account", letsIn({ namespace: "shop", serviceAccount: "" }), "serviceAccount"],
  ["257 clients", service({ clients: times(257, () => ({ namespace: "shop" })) }), "at most 256 items"],
  ["a client without a namespace", service({ clients: [{ cluster: "east" }] }), "namespace: Required value"],

  ["an unknown type of service", service({ type: "ExternalName" }), 'Unsupported value: "ExternalName"'],
  ["a format below 1", service({ formatVersion: 0 }), "greater than or equal to 1"],
  ["a time that is none", service({ exportTime: "yesterday" }), "exportTime"],
  [
    "an endpoint with a host name for address",
    service({ endpoints: [{ addresses: ["a.b"], ready: true }] }),
    "must be an IP address",
  ],
  [
    "a gateway with a host name for address",
    pool({ endpoints: [{ address: "a.b", ports: {} }] }),
    "must be an IP address",
  ],
  ["an unknown mode", pool({ mode: "HostPort" }), 'Unsupported value: "HostPort"'],
  [
    "a gateway's port 0",
    pool({ endpoints: [{ address: "198.18.1.1", ports: { p: 0 } }] }),
    "greater than or equal to 1",
  ],
];

const accepted: readonly (readonly [string, Json])[] = [
  [
    "the policy of the specification",
    policy({ dscp: 46, sla: { latencyMs: 50, jitterMs: 10, lossPercent: 1 } }, "sd-wan-priority-high"),
  ],
  ...[1024, 19999, 30000, 65535].map((port) => [`port ${port}`, policy({ port })] as const),
  ["the edges of DSCP and SLA", policy({ dscp: 0, sla: { lossPercent: 0.01, latencyMs: 0 } })],
  ["a policy's name of 40 characters", policy({}, "a".repeat(40))],
  [
    "the rules of the specification",
    rules(
      { matches: [{ method: "GET", path: { type: "PathPrefix", value: "/payment" } }], backendRefs: [dummy] },
      { matches: [{ path: { type: "PathPrefix", value: "/stats" } }], backendRefs: [overPolicy] },
    ),
  ],
  [
    "weights over all kinds of backends",
    rules({
      backendRefs: [
        { ...overPolicy, weight: 90 },
        { ...dummy, weight: 0 },
        { group: "multicluster.x-k8s.io", kind: "ServiceImport", name: "payment-v2", weight: 10 },
        { name: "local", port: 8080 },
      ],
    }),
  ],
  [
    "every filter, and a host rewrite that only a condition refuses",
    withFilters(
      {
        type: "RequestHeaderModifier",
        requestHeaderModifier: { set: [{ name: "a", value: "1" }], remove: ["b"] },
      },
      { type: "ResponseHeaderModifier", responseHeaderModifier: { add: [{ name: "a", value: "1" }] } },
      { type: "RequestMirror", requestMirror: { backendRef: dummy, fraction: { numerator: 1 } } },
      {
        type: "URLRewrite",
        urlRewrite: { hostname: "a.b", path: { type: "ReplacePrefixMatch", replacePrefixMatch: "/" } },
      },
    ),
  ],
  [
    "a redirect",
    rules({ filters: [{ type: "RequestRedirect", requestRedirect: { scheme: "https", statusCode: 301 } }] }),
  ],
  [
    "all matches and time-outs",
    rules({
      name: "canary",
      matches: [
        {
          path: { type: "RegularExpression", value: "/a//.*" },
          headers: [{ name: "cookie", type: "RegularExpression", value: ".*user=test.*" }],
          queryParams: [{ name: "q", value: "1" }],
          method: "POST",
        },
      ],
      timeouts: { request: "10s", backendRequest: "500ms" },
    }),
  ],
  ["16 rules with 128 matches", rules(...times(16, () => ({ matches: times(8, () => ({})) })))],
  ["a TCP service", imported({ tcp: { backendRefs: [{ ...dummy, weight: 3 }, overPolicy] } })],
  [
    "a service with all fields",
    service({
      sessionAffinity: "ClientIP",
      sessionAffinityConfig: { clientIP: { timeoutSeconds: 10 } },
      internalTrafficPolicy: "Cluster",
      trafficDistribution: "PreferClose",
      labels: { a: "b" },
      annotations: { c: "d" },
      wanPolicy: "sd-wan-priority-high",
      path: "Direct",
      clients: [{ cluster: "east", namespace: "shop", serviceAccount: "web.v1" }, { namespace: "audit" }],
    }),
  ],
  [
    "a headless service",
    service({
      type: "Headless",
      ipFamilies: [],
      endpoints: [{ hostname: "db-0", addresses: ["198.18.1.130"], ready: true, zone: "a" }],
    }),
  ],
  [
    "a pool",
    pool({
      endpoints: [
        { address: "198.18.1.130", zone: "a", ports: { "sd-wan-priority-high": 31111 } },
        { address: "2001:db8::1", ports: {} },
      ],
    }),
  ],
];

/** Refused of a ServiceImport and not of an HTTPRoute: mistakes that only cost its writer time there. */
const onlyHere: ReadonlySet<string> = new Set(["two rules of one name", "a backend twice"]);

/** An HTTPRoute wants a port of every Service; a ServiceImport doesn't. */
function withPorts(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withPorts);
  if (typeof value !== "object" || value === null) return value;
  const changed = Object.entries(value).map(([key, each]): [string, unknown] => [key, withPorts(each)]);
  return { ...("namespace" in value ? { port: 80 } : {}), ...Object.fromEntries(changed) };
}

const plurals: Record<string, string> = {
  WANPolicy: "wanpolicies",
  ServiceImport: "namespaces/default/serviceimports",
  AccessPolicy: "namespaces/default/accesspolicies",
  ServiceAdvertisement: "namespaces/default/serviceadvertisements",
  GatewayAdvertisement: "namespaces/default/gatewayadvertisements",
};
const parsers: Record<string, (input: unknown) => { ok: boolean; problems?: unknown }> = {
  WANPolicy: parseWANPolicy,
  ServiceImport: parseServiceImport,
  ServiceAdvertisement: parseServiceAdvertisement,
  GatewayAdvertisement: parseGatewayAdvertisement,
};
const kindOf = (object: Json): string => object["kind"] as string;

describe("the CRDs on a real API server", function () {
  this.timeout(startTimeoutMs);
  let server: KubeApiServer;
  let request: ApiRequest;
  const create = (object: Json, query = "?dryRun=All&fieldValidation=Strict"): Promise<ApiAnswer> =>
    request("POST", `${base}/${plurals[kindOf(object)] ?? ""}${query}`, object);

  before(async () => {
    server = await startKubeApiServer();
    request = apiRequest(server);
    for (const folder of ["crds", "crds/gateway-api"]) {
      await server.kubectl.run(server.context, ["apply", "--server-side", "-k", folder]);
    }
    await server.kubectl.run(server.context, ["wait", "--for=condition=Established", "crd", "--all"]);
  });
  after(async () => {
    await server.stop();
  });

  for (const [what, object, words] of refused) {
    it(`refuse ${what}`, async () => {
      const { status, message } = await create(object);
      expect([status, message], message).to.satisfy(() => status === 422 && message.includes(words));
    });
  }

  for (const [what, object] of accepted) {
    it(`take ${what}, and so does the parser, as written and as stored`, async () => {
      const { status, message, body } = await create(object);
      expect(status, message).to.equal(201);
      const parse = parsers[kindOf(object)]!;
      expect(parse(object)).to.deep.equal({ ok: true, value: object });
      expect(parse(body)).to.include({ ok: true });
    });
  }

  it("take clients by cluster, namespace and service account in all ways that mean somebody", async () => {
    const { status, message } = await create(
      letsIn(
        { cluster: "east" },
        { namespace: "shop" },
        { cluster: "east", namespace: "shop" },
        { namespace: "shop", serviceAccount: "web.v1" },
        { cluster: "east", namespace: "shop", serviceAccount: "web" },
      ),
    );
    expect(status, message).to.equal(201);
  });

  const cases = [
    ...refused.map(([what, object]) => ({ what, object, isTaken: false })),
    ...accepted.map(([what, object]) => ({ what, object, isTaken: true })),
  ].filter(({ object, what }) => "http" in (object["spec"] as Json) && !onlyHere.has(what));
  for (const { what, object, isTaken } of cases) {
    it(`judge ${what} as an HTTPRoute with the same rules is judged`, async () => {
      const { status, message } = await request(
        "POST",
        "/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes?dryRun=All&fieldValidation=Strict",
        {
          apiVersion: "gateway.networking.k8s.io/v1",
          kind: "HTTPRoute",
          metadata: { name: "a", namespace: "default" },
          spec: {
            parentRefs: [{ name: "a" }],
            rules: withPorts((object["spec"] as { http: Json }).http["rules"]),
          },
        },
      );
      expect(status === 201, message).to.equal(isTaken);
    });
  }

  it("fill in what a HTTPRoute's rule would have", async () => {
    const { body } = await create(rules({ backendRefs: [{ name: "a" }] }));
    expect(body["spec"]).to.deep.equal({
      http: {
        rules: [
          {
            matches: [{ path: { type: "PathPrefix", value: "/" } }],
            backendRefs: [{ group: "", kind: "Service", name: "a", weight: 1 }],
          },
        ],
      },
    });
  });

  it("keep status apart from spec", async () => {
    const conditions = [
      {
        type: "Accepted",
        status: "True",
        reason: "Accepted",
        message: "",
        lastTransitionTime: "2026-01-02T03:04:05Z",
      },
    ];
    const created = await create({ ...policy({}, "with-status"), status: { conditions } }, "");
    expect(created.body).not.to.have.property("status");
    const patched = await request("PUT", `${base}/wanpolicies/with-status/status`, {
      ...created.body,
      status: { conditions },
    });
    expect(patched.body["status"]).to.deep.equal({ conditions });
    const table = await server.kubectl.run(server.context, ["get", "wanp", "with-status", "--no-headers"]);
    expect(table).to.match(/^with-status +business +31111 +MutualTLS +True /);
  });

  it("fill in MutualTLS only where no mode was stored: a policy that has one keeps it", async () => {
    const crd = parse(await readFile("crds/wanpolicies.mc-wan.l7mp.io.yaml", "utf8")) as PolicyCrd;
    /** Makes the server serve a CRD, and waits until it fills in that mode. */
    const serve = async (changed: PolicyCrd, mode: string | undefined): Promise<void> => {
      const words = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
      await server.kubectl.run(server.context, words, JSON.stringify(changed));
      await eventually(
        async () => (await create(policy({}, "tried"))).body["spec"] as { mode?: string },
        (spec) => spec.mode === mode,
      );
    };
    const withDefault = (mode: "Plain" | undefined): PolicyCrd => {
      const changed = structuredClone(crd);
      for (const { schema } of changed.spec.versions) {
        const { spec } = schema.openAPIV3Schema.properties;
        if (mode !== undefined) spec.properties["mode"] = { ...spec.properties["mode"], default: mode };
        else {
          delete spec.properties["mode"];
          spec["x-kubernetes-validations"] = [];
        }
      }
      return changed;
    };
    const modeOfStored = async (name: string): Promise<string | undefined> =>
      ((await request("GET", `${base}/wanpolicies/${name}`)).body["spec"] as { mode?: string }).mode;
    await serve(withDefault(undefined), undefined);
    await create(policy({}, "before-modes"), "");
    await create(policy({}, "written-since"), "");
    await serve(withDefault("Plain"), "Plain");
    await create(policy({}, "of-old-default"), "");
    await server.kubectl.run(server.context, ["label", "wanpolicy", "written-since", "any=change"]);
    await serve(crd, "MutualTLS");
    expect(await modeOfStored("of-old-default")).to.equal("Plain");
    expect(await modeOfStored("written-since")).to.equal("Plain");
    expect(await modeOfStored("before-modes")).to.equal("MutualTLS");
  });

  it("answer to their short names and to the category mc-wan", async () => {
    for (const names of ["wanp", "wsi", "wsa", "wga", "mc-wan"]) {
      await server.kubectl.run(server.context, ["get", names, "-A"]);
    }
  });
});
