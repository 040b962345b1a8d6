/** Random matches, filters and backends, as HTTPRoutes and L7 ServiceImports share them; all that their schemas let in. */
import fc from "fast-check";
import { dense, maybe, namespaceName, policyName, portNumber, serviceName } from "./names.ts";

const path = fc.constantFrom("/", "/", "/a", "/a/", "/a/b", "/A%20b", "/a.b", "/a:b", "/ünïcode");
const expression = fc.constantFrom(
  "/a/.*",
  "[a-z]+",
  "a)|(b",
  "(",
  "(?i)x",
  "^$",
  "(?=x)",
  "\\d{1,1001}",
  ".{1000}",
  "",
);
const headerName = fc.constantFrom(
  "x-a",
  "X-A",
  "Host",
  "x-mc-wan-port",
  "x-mc-wan-hop",
  "Cookie",
  "Content-Type",
);
const headerValue = fc.constantFrom("v", "100%", "%REQ(cookie)%", "a b", "ü", "\\1");

const named = fc
  .record({
    type: fc.constantFrom("Exact", "RegularExpression", undefined),
    name: headerName,
    value: fc.oneof(
      headerValue,
      expression.filter((text) => text !== ""),
    ),
  })
  .map(dense);

const match = fc
  .record({
    path: maybe(
      fc
        .oneof(
          fc.record({ type: fc.constantFrom("Exact", "PathPrefix", undefined), value: path }),
          fc.record({ type: fc.constant("RegularExpression"), value: expression }),
          fc.constant({ type: undefined, value: undefined }),
        )
        .map(dense),
    ),
    headers: maybe(fc.array(named, { maxLength: 2 })),
    queryParams: maybe(fc.array(named, { maxLength: 2 })),
    method: maybe(fc.constantFrom("GET", "POST", "CONNECT", "OPTIONS")),
  })
  .map(dense);

const header = fc.record({ name: headerName, value: headerValue });
const headers = fc
  .record({
    set: maybe(fc.uniqueArray(header, { maxLength: 2, selector: ({ name }) => name })),
    add: maybe(fc.uniqueArray(header, { maxLength: 2, selector: ({ name }) => name })),
    remove: maybe(fc.uniqueArray(headerName, { maxLength: 2 })),
  })
  .map(dense);

const pathModifier = fc.oneof(
  fc.record({
    type: fc.constant("ReplaceFullPath"),
    replaceFullPath: fc.constantFrom("/", "/x\\1", "/a?b=c", ""),
  }),
  fc.record({
    type: fc.constant("ReplacePrefixMatch"),
    replacePrefixMatch: fc.constantFrom("/", "/new/", "", "/x\\0"),
  }),
);

const localRef = fc
  .record({ name: serviceName, namespace: maybe(namespaceName), port: maybe(portNumber) })
  .map(dense);

/** Dummy Services by the names that they would have. */
const dummyRef = fc
  .record({ service: serviceName, namespace: namespaceName, policy: policyName, port: maybe(portNumber) })
  .map(({ service, namespace, policy, port }) =>
    dense({ name: `${service}-${namespace}-${policy}`.slice(0, 63), namespace: "mc-wan", port }),
  );

/** What any kind of route may name, and some that none may. */
const routeRef = fc.oneof(
  { weight: 5, arbitrary: localRef },
  { weight: 2, arbitrary: dummyRef },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      { group: "example.com", kind: "Bucket", name: "a" },
      { kind: "Secret", name: "a" },
    ),
  },
);

const importRef = fc.oneof(
  { weight: 2, arbitrary: localRef.map(({ namespace: _elsewhere, ...ref }) => ref) },
  { weight: 2, arbitrary: dummyRef },
  {
    weight: 5,
    arbitrary: policyName.map((name) => ({ group: "mc-wan.l7mp.io", kind: "WANPolicy", name })),
  },
  {
    weight: 2,
    arbitrary: serviceName.map((name) => ({ group: "multicluster.x-k8s.io", kind: "ServiceImport", name })),
  },
);

type Ref = fc.Arbitrary<object>;

const modifiers = fc.oneof(
  headers.map((requestHeaderModifier) => ({ type: "RequestHeaderModifier", requestHeaderModifier })),
  headers.map((responseHeaderModifier) => ({ type: "ResponseHeaderModifier", responseHeaderModifier })),
);

const mirror = (ref: Ref) =>
  fc
    .record({
      backendRef: ref,
      share: fc.constantFrom(
        {},
        { percent: 0 },
        { percent: 10 },
        { fraction: { numerator: 1, denominator: 3 } },
      ),
    })
    .map(({ backendRef, share }) => ({ type: "RequestMirror", requestMirror: { backendRef, ...share } }));

const rewrite = fc
  .record({
    hostname: maybe(fc.constantFrom("other.example.com", "b.c.svc.cluster.local")),
    path: maybe(pathModifier),
  })
  .map((urlRewrite) => ({ type: "URLRewrite", urlRewrite: dense(urlRewrite) }));

const redirect = fc
  .record({
    scheme: maybe(fc.constantFrom("http", "https")),
    hostname: maybe(fc.constantFrom("r.example.com")),
    path: maybe(pathModifier),
    port: maybe(portNumber),
    statusCode: maybe(fc.constantFrom(301, 302, 303, 307, 308)),
  })
  .map((requestRedirect) => ({ type: "RequestRedirect", requestRedirect: dense(requestRedirect) }));

const onlyOfRoutes = fc.oneof(
  fc.constant({ type: "ExtensionRef", extensionRef: { group: "example.com", kind: "Filter", name: "a" } }),
  fc
    .record({
      allowOrigins: maybe(
        fc.uniqueArray(fc.constantFrom("*", "https://*.example.com", "http://a:80"), { maxLength: 2 }),
      ),
      allowMethods: maybe(fc.constantFrom(["*"], ["GET", "PUT"])),
      allowHeaders: maybe(fc.constantFrom(["*"], ["x-a"])),
      exposeHeaders: maybe(fc.constantFrom(["*"], ["x-b"])),
      allowCredentials: maybe(fc.boolean()),
      maxAge: maybe(fc.constantFrom(1, 60, 2_147_483_647)),
    })
    .map((cors) => ({ type: "CORS", cors: dense(cors) })),
);

/** Each kind at most once, but for mirrors; no rewrite beside a redirect. */
const filters = (ref: Ref, more: readonly fc.Arbitrary<{ type: string }>[] = []) =>
  fc.uniqueArray(fc.oneof<fc.Arbitrary<{ type: string }>[]>(modifiers, mirror(ref), rewrite, ...more), {
    maxLength: 3,
    selector: ({ type }) => type,
  });

const duration = fc.constantFrom("0s", "500ms", "10s", "1h30m", "99999h");
const timeouts = fc.record({ request: maybe(duration), backendRequest: maybe(duration) }).map(dense);
const retry = fc
  .record({
    attempts: maybe(fc.constantFrom(0, 1, 5)),
    codes: maybe(fc.constantFrom([500], [502, 503, 599])),
    backoff: maybe(duration),
  })
  .map(dense);

/** A rule whose backends come from `ref`. A redirected request has none. */
function rule(ref: Ref, moreFilters: readonly fc.Arbitrary<{ type: string }>[], more: Record<string, Ref>) {
  const weighted = fc
    .record({
      ref,
      weight: maybe(fc.constantFrom(0, 1, 9, 1_000_000)),
      filters: maybe(filters(ref, moreFilters)),
    })
    .map(({ ref: target, ...rest }) => dense({ ...target, ...rest }));
  const forwarding = fc.record({
    filters: maybe(filters(ref, moreFilters)),
    backendRefs: maybe(fc.array(weighted, { maxLength: 3 })),
  });
  const redirecting = fc
    .tuple(redirect, modifiers)
    .map((both) => ({ filters: both, backendRefs: undefined }));
  const optional = Object.fromEntries(
    Object.entries({ timeouts, ...more }).map(([name, arb]) => [name, maybe(arb)]),
  );
  return fc
    .record({
      matches: maybe(fc.array(match, { maxLength: 3 })),
      goes: fc.oneof({ weight: 6, arbitrary: forwarding }, { weight: 1, arbitrary: redirecting }),
      rest: fc.record(optional),
    })
    .map(({ matches, goes, rest }) => dense({ matches, ...dense(goes), ...dense(rest) }));
}

export const httpRouteRule = rule(routeRef, [onlyOfRoutes], { retry });
export const importRule = rule(importRef, [], {});
export const tlsRule = fc
  .array(fc.tuple(routeRef, maybe(fc.constantFrom(0, 1, 9))), { minLength: 1, maxLength: 3 })
  .map((refs) => ({ backendRefs: refs.map(([ref, weight]) => dense({ ...ref, weight })) }));

export const grpcRule = fc
  .record({
    matches: maybe(
      fc.array(
        fc
          .record({
            method: maybe(
              fc
                .record({
                  type: fc.constantFrom("Exact", "RegularExpression", undefined),
                  service: maybe(fc.constantFrom("shop.Cart", "a)|(b", ".*")),
                  method: fc.constantFrom("Get", "Get|List"),
                })
                .map(dense),
            ),
            headers: maybe(fc.array(named, { maxLength: 2 })),
          })
          .map(dense),
        { maxLength: 2 },
      ),
    ),
    filters: maybe(
      fc.uniqueArray(fc.oneof(modifiers, mirror(routeRef)), { maxLength: 2, selector: ({ type }) => type }),
    ),
    backendRefs: maybe(fc.array(routeRef, { maxLength: 2 })),
  })
  .map(dense);

export const tcpRefs = fc.array(importRef, { minLength: 1, maxLength: 3 });
