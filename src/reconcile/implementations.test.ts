import { expect } from "chai";
import type { ObjectTypes } from "../model/kinds.ts";
import type { HomeObjects } from "../model/world.ts";
import { judgeClass } from "./implementations.ts";

type GatewayClass = ObjectTypes["GatewayClass"];

const envoyGateway = "gateway.envoyproxy.io/gatewayclass-controller";
const ref = { group: "gateway.envoyproxy.io", kind: "EnvoyProxy", name: "p", namespace: "eg" };
const clusterIp = { provider: { kubernetes: { envoyService: { type: "ClusterIP" } } } };

function home(
  controllerName: string,
  parametersRef?: GatewayClass["spec"]["parametersRef"],
  envoyProxy?: object,
): Pick<HomeObjects, "GatewayClass" | "EnvoyProxy"> {
  const gatewayClass: GatewayClass = {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "GatewayClass",
    metadata: { name: "c" },
    spec: { controllerName, ...(parametersRef && { parametersRef }) },
  };
  const proxy = {
    apiVersion: "",
    kind: "EnvoyProxy",
    metadata: { name: "p", namespace: "eg" },
    spec: envoyProxy,
  };
  return {
    GatewayClass: new Map([["c", gatewayClass]]),
    EnvoyProxy: new Map(envoyProxy === undefined ? [] : [["eg/p", proxy]]),
  };
}

const reasonOf = (...parts: Parameters<typeof home>): string => {
  const judged = judgeClass("c", home(...parts));
  return "problem" in judged ? judged.problem.reason : judged.implementation.name;
};

describe("what is known of a GatewayClass of others", () => {
  const cases: readonly (readonly [string, string, ...Parameters<typeof home>])[] = [
    ["Istio, which goes by an annotation", "Istio", "istio.io/gateway-controller"],
    ["Envoy Gateway with an EnvoyProxy that says ClusterIP", "Envoy Gateway", envoyGateway, ref, clusterIp],
    ["Envoy Gateway by its defaults", "NotInternal", envoyGateway],
    [
      "Envoy Gateway with parameters of another kind",
      "NotInternal",
      envoyGateway,
      { ...ref, kind: "ConfigMap" },
      clusterIp,
    ],
    [
      "Envoy Gateway with parameters of another group",
      "NotInternal",
      envoyGateway,
      { ...ref, group: "x" },
      clusterIp,
    ],
    [
      "Envoy Gateway with an EnvoyProxy of no namespace",
      "NotInternal",
      envoyGateway,
      { group: ref.group, kind: ref.kind, name: "p" },
      clusterIp,
    ],
    ["Envoy Gateway with an EnvoyProxy that is not there", "NotInternal", envoyGateway, ref],
    ["Envoy Gateway with an EnvoyProxy that says nothing", "NotInternal", envoyGateway, ref, {}],
    [
      "Envoy Gateway with load balancers",
      "NotInternal",
      envoyGateway,
      ref,
      { provider: { kubernetes: { envoyService: { type: "LoadBalancer" } } } },
    ],
    [
      "Envoy Gateway with Services that are patched",
      "NotInternal",
      envoyGateway,
      ref,
      { provider: { kubernetes: { envoyService: { type: "ClusterIP", patch: {} } } } },
    ],
    [
      "Envoy Gateway with merged Gateways",
      "NotInternal",
      envoyGateway,
      ref,
      { ...clusterIp, mergeGateways: true },
    ],
    ["Cilium", "UnknownImplementation", "io.cilium/gateway-controller"],
    ["mc-wan itself", "UnknownImplementation", "mc-wan.l7mp.io/gateway-controller"],
    ["anybody else", "UnknownImplementation", "example.com/gateways"],
  ];
  for (const [what, expected, ...parts] of cases) {
    it(`${what}: ${expected}`, () => {
      expect(reasonOf(...parts)).to.equal(expected);
    });
  }

  it("says of every class that gets no Gateway what to do", () => {
    for (const [, , ...parts] of cases) {
      const judged = judgeClass("c", home(...parts));
      if ("problem" in judged)
        expect(judged.problem.message).to.match(/(Use|Give|Set|run) .*No Gateway is written\.$/);
    }
  });

  const service = (labels: Record<string, string>, rest: object = {}): ObjectTypes["Service"] => ({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "s", namespace: "secure", labels, ...rest },
  });
  const gateway = { metadata: { name: "g", namespace: "secure", uid: "uid-g" } } as ObjectTypes["Gateway"];
  const gateways = new Map([["secure/g", gateway]]);

  it("takes a Service for Istio's only if the Gateway owns it", () => {
    const judged = judgeClass("c", home("istio.io/gateway-controller"));
    if ("problem" in judged) throw new Error("refused");
    const { gatewayOf } = judged.implementation;
    const labels = { "gateway.networking.k8s.io/gateway-name": "g" };
    const owner = { apiVersion: "", kind: "Gateway", name: "g", uid: "uid-g" };
    expect(gatewayOf(service(labels, { ownerReferences: [owner] }), gateways)).to.equal("secure/g");
    expect(gatewayOf(service(labels), gateways)).to.equal(undefined);
    expect(gatewayOf(service(labels, { ownerReferences: [{ ...owner, uid: "old" }] }), gateways)).to.equal(
      undefined,
    );
    expect(gatewayOf(service(labels, { namespace: "b", ownerReferences: [owner] }), gateways)).to.equal(
      undefined,
    );
    expect(gatewayOf(service({}, { ownerReferences: [owner] }), gateways)).to.equal(undefined);
  });

  it("takes a Service for Envoy Gateway's only in its namespace or the Gateway's", () => {
    const judged = judgeClass("c", home(envoyGateway, ref, clusterIp));
    if ("problem" in judged) throw new Error("refused");
    const { gatewayOf } = judged.implementation;
    const labels = {
      "gateway.envoyproxy.io/owning-gateway-name": "g",
      "gateway.envoyproxy.io/owning-gateway-namespace": "secure",
    };
    expect(gatewayOf(service(labels, { namespace: "eg" }), gateways)).to.equal("secure/g");
    expect(gatewayOf(service(labels), gateways)).to.equal("secure/g");
    expect(gatewayOf(service(labels, { namespace: "a-thief" }), gateways)).to.equal(undefined);
    expect(gatewayOf(service({}, { namespace: "eg" }), gateways)).to.equal(undefined);
  });
});
