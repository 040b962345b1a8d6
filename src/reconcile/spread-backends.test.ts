import { expect } from "chai";
import fc from "fast-check";
import type { RouteRule } from "./http-rules.ts";
import { divide, spreadRules, type BackendTarget, type FindTargets } from "./spread-backends.ts";

const host = { type: "URLRewrite" as const, urlRewrite: { hostname: "payment.secure.svc.cluster.local" } };
const port = {
  type: "RequestHeaderModifier" as const,
  requestHeaderModifier: { set: [{ name: "x-mc-wan-port", value: "8080" }] },
};
const dummy = (weight: number, filters: object[] = [host, port]): object => ({
  group: "",
  kind: "Service",
  name: "payment-secure-high",
  namespace: "mc-wan",
  port: 31111,
  weight,
  filters,
});
const rule = (...backendRefs: object[]): RouteRule => ({ backendRefs }) as RouteRule;
const target = (name: string, share: number): BackendTarget => ({
  ref: { group: "", kind: "Service", name, namespace: "mc-wan", port: 31111 },
  share,
});
const two: FindTargets = () => [target("east", 2), target("north", 1)];
const spread = (from: RouteRule, find: FindTargets = two): RouteRule | undefined =>
  spreadRules([from], find).rules[0];
const weights = (found: RouteRule | undefined): unknown =>
  found?.backendRefs?.map(({ name, weight }) => [name, weight]);

describe("backends of a rule, cluster by cluster", () => {
  it("gives whole weights whose sum is the backendRef's", () => {
    fc.assert(
      fc.property(
        fc.nat(1_000_000),
        fc.array(fc.integer({ min: 1, max: 1_000_000 }), { minLength: 1, maxLength: 12 }),
        (total, shares) => {
          const parts = divide(total, shares);
          const sum = shares.reduce((all, share) => all + share, 0);
          expect(parts.reduce((all, part) => all + part, 0)).to.equal(total);
          parts.forEach((part, index) => {
            expect(Math.abs(part - (total * (shares[index] ?? 0)) / sum)).to.be.below(1.001);
          });
        },
      ),
    );
  });

  it("splits in thousandths, and puts the filters that all share at the rule", () => {
    expect(spread(rule(dummy(1)))).to.deep.equal({
      filters: [host, port],
      backendRefs: [
        { ...target("east", 2).ref, weight: 667 },
        { ...target("north", 1).ref, weight: 333 },
      ],
    });
  });

  it("keeps within the highest weight that Gateway API takes", () => {
    expect(weights(spread(rule(dummy(900_000), dummy(100_000))))).to.deep.equal([
      ["east", 600_000],
      ["north", 300_000],
      ["east", 66_667],
      ["north", 33_333],
    ]);
  });

  it("leaves weights alone where every dummy has one cluster, or is not spread", () => {
    expect(weights(spread(rule(dummy(3)), () => [target("east", 1)]))).to.deep.equal([["east", 3]]);
    expect(weights(spread(rule(dummy(3)), () => undefined))).to.deep.equal([["payment-secure-high", 3]]);
    expect(weights(spread(rule({ name: "local", port: 80 })))).to.deep.equal([["local", undefined]]);
  });

  it("gives nothing to a backendRef of weight 0, nor to a cluster whose share is below a thousandth", () => {
    expect(
      weights(spread(rule(dummy(0), dummy(1)), () => [target("east", 9999), target("north", 1)])),
    ).to.deep.equal([
      ["payment-secure-high", 0],
      ["east", 1000],
    ]);
  });

  it("keeps the dummies where a rule would have more than 16 backendRefs", () => {
    const nine = Array.from({ length: 9 }, () => dummy(1));
    expect(spread(rule(...nine))?.backendRefs).to.have.length(9);
    const { dummies, tooWide } = spreadRules([rule(dummy(1)), rule(...nine)], two);
    expect(dummies).to.deep.equal(["payment-secure-high"]);
    expect(tooWide).to.deep.equal([2]);
  });

  it("leaves filters at the backendRefs where these differ, or change a header that the rule changes", () => {
    const other = { ...host, urlRewrite: { hostname: "payment-v2.secure.svc.cluster.local" } };
    expect(spread(rule(dummy(1), dummy(1, [other, port])))?.filters).to.equal(undefined);
    const changes = { type: "RequestHeaderModifier", requestHeaderModifier: { remove: ["X-Mc-Wan-Port"] } };
    const clash = { filters: [changes], backendRefs: [dummy(1)] } as unknown as RouteRule;
    expect(spread(clash)?.filters).to.deep.equal([changes]);
    expect(spread(clash)?.backendRefs?.[0]?.filters).to.deep.equal([host, port]);
  });

  it("merges them with the rule's, each type once; a backendRef's path wins", () => {
    const path = { type: "ReplaceFullPath", replaceFullPath: "/own" };
    const found = spread({
      filters: [
        { type: "URLRewrite", urlRewrite: { path: { type: "ReplaceFullPath", replaceFullPath: "/rule" } } },
        {
          type: "RequestHeaderModifier",
          requestHeaderModifier: { add: [{ name: "a", value: "1" }], remove: ["b"] },
        },
        { type: "ResponseHeaderModifier", responseHeaderModifier: { set: [{ name: "c", value: "1" }] } },
      ],
      backendRefs: [
        dummy(1, [
          { type: "URLRewrite", urlRewrite: { ...host.urlRewrite, path } },
          port,
          { type: "ResponseHeaderModifier", responseHeaderModifier: { add: [{ name: "d", value: "1" }] } },
        ]),
      ],
    } as unknown as RouteRule);
    expect(found?.filters).to.deep.equal([
      { type: "URLRewrite", urlRewrite: { ...host.urlRewrite, path } },
      {
        type: "RequestHeaderModifier",
        requestHeaderModifier: {
          ...port.requestHeaderModifier,
          add: [{ name: "a", value: "1" }],
          remove: ["b"],
        },
      },
      {
        type: "ResponseHeaderModifier",
        responseHeaderModifier: { set: [{ name: "c", value: "1" }], add: [{ name: "d", value: "1" }] },
      },
    ]);
  });

  it("does not mind what leads nowhere, nor a redirect without backends", () => {
    const nowhere = { group: "mc-wan.l7mp.io", kind: "Unresolved", name: "x", weight: 1 };
    const found = spread(rule(dummy(1), nowhere));
    expect(found?.filters).to.deep.equal([host, port]);
    expect(weights(found)).to.deep.equal([
      ["east", 667],
      ["north", 333],
      ["x", 1000],
    ]);
    const redirect = { filters: [{ type: "RequestRedirect", requestRedirect: {} }] } as RouteRule;
    expect(spread(redirect)).to.equal(redirect);
  });
});
