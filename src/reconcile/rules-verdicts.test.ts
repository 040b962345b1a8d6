import { readFileSync } from "node:fs";
import { expect } from "chai";
import { parse } from "yaml";
import type { Desired } from "../model/desired.ts";
import type { RouteVerdict } from "../model/envoy-config.ts";
import type { Condition } from "../model/kube-object.ts";
import { createReconcile } from "./reconcile.ts";
import { rulesStatuses } from "./rules-verdicts.ts";
import { worldFrom, type WorldFile } from "./world-from-yaml.ts";

const example = (name: string): Desired =>
  createReconcile()(
    worldFrom(parse(readFileSync(new URL(`testdata/${name}.in.yaml`, import.meta.url), "utf8")) as WorldFile),
  );

const said = (type: string, status: Condition["status"], reason: string): Condition => ({
  type,
  status,
  reason,
  message: `${reason} at the route.`,
  observedGeneration: 1,
});

const verdict = (...conditions: Condition[]): RouteVerdict => ({
  parentRef: { name: "payment-clusterset" },
  conditions,
});

const partial = verdict(
  said("Accepted", "True", "Accepted"),
  said("ResolvedRefs", "True", "ResolvedRefs"),
  said("PartiallyInvalid", "True", "UnsupportedValue"),
);

/** Type, status, reason and message of Accepted and ResolvedRefs; undefined where there is nothing to add. */
function told(
  desired: Desired,
  httpRoutes: readonly (readonly [string, readonly RouteVerdict[]])[],
): string[] | undefined {
  const status = rulesStatuses(desired, {
    gateways: new Map(),
    grpcRoutes: new Map(),
    tcpRoutes: new Map(),
    tlsRoutes: new Map(),
    listenerSets: new Map(),
    backendTlsPolicies: new Map(),
    httpRoutes: new Map(httpRoutes),
  }).get("ServiceImport/secure/payment");
  return status?.form === "Conditions"
    ? status.conditions
        .filter(({ type }) => type === "Accepted" || type === "ResolvedRefs")
        .map(({ type, status: is, reason, message }) => `${type} ${is} ${reason}: ${message}`)
    : undefined;
}

describe("what translation says of the routes of an L7 ServiceImport", () => {
  it("adds nothing where every rule is carried out", () => {
    const fine = verdict(said("Accepted", "True", "Accepted"), said("ResolvedRefs", "True", "ResolvedRefs"));
    expect(told(example("rules-payment"), [["secure/payment-clusterset", [fine]]])).to.equal(undefined);
  });

  it("is told at the ServiceImport where rules are closed: it is not Accepted, and the rest stays", () => {
    const desired = example("rules-payment");
    expect(told(desired, [["secure/payment-clusterset", [partial]]])).to.deep.equal([
      "Accepted False UnsupportedValue: UnsupportedValue at the route.",
      "ResolvedRefs True ResolvedRefs: Every backend was found.",
    ]);
    const before = desired.statuses.get("ServiceImport/secure/payment");
    const after = rulesStatuses(desired, {
      gateways: new Map(),
      grpcRoutes: new Map(),
      tcpRoutes: new Map(),
      tlsRoutes: new Map(),
      listenerSets: new Map(),
      backendTlsPolicies: new Map(),
      httpRoutes: new Map([["secure/payment-clusterset", [partial]]]),
    }).get("ServiceImport/secure/payment");
    const rest = (status: typeof before): unknown =>
      status?.form === "Conditions" &&
      status.conditions.filter(({ type }) => type === "Programmed" || type === "Enforced");
    expect(rest(after)).to.deep.equal(rest(before));
  });

  it("is told where the whole route is refused, and where a reference leads nowhere", () => {
    const refused = verdict(
      said("Accepted", "False", "NoReadyListeners"),
      said("ResolvedRefs", "False", "BackendNotFound"),
    );
    expect(told(example("rules-payment"), [["secure/payment-clusterset", [refused]]])).to.deep.equal([
      "Accepted False NoReadyListeners: NoReadyListeners at the route.",
      "ResolvedRefs False BackendNotFound: BackendNotFound at the route.",
    ]);
  });

  it("is said once for routes of several ports, and all of it", () => {
    const desired = example("rules-several-ports");
    const routes = [...desired.httpRoutes.keys()].filter((key) => key.includes("payment-clusterset"));
    expect(routes.length).to.be.greaterThan(1);
    const other = verdict(said("Accepted", "False", "IncompatibleFilters"));
    expect(
      told(
        desired,
        routes.map((key, index) => [key, index === 0 ? [partial, partial] : [other, partial]]),
      )?.[0],
    ).to.equal(
      "Accepted False UnsupportedValue: UnsupportedValue at the route. IncompatibleFilters at the route.",
    );
  });

  it("does not repeat in other words what reconcile closed", () => {
    const echo = verdict(said("Accepted", "True", "Accepted"), said("ResolvedRefs", "False", "InvalidKind"));
    const messages = told(example("rules-host-rewrites"), [["secure/payment-clusterset", [echo]]]);
    expect(messages?.join()).not.to.contain("at the route");
  });

  it("is no business of a ServiceImport if the route is a user's, an ingress's, or of a service without rules", () => {
    const keys = ["secure/payment-ingress", "secure/nobody", "elsewhere/payment-clusterset"];
    expect(
      told(
        example("export-http"),
        [...keys, "secure/payment-clusterset"].map((key) => [key, [partial]]),
      ),
    ).to.equal(undefined);
  });
});
