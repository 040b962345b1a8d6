import { expect } from "chai";
import { UsageError } from "../../model/errors.ts";
import { dataPlaneNamed, dataPlanes } from "./registry.ts";

describe("the registry of data planes", () => {
  it("gives each data plane by its name", () => {
    for (const [name, driver] of Object.entries(dataPlanes)) expect(dataPlaneNamed(name)).to.equal(driver);
    expect(Object.keys(dataPlanes)).to.deep.equal(["envoy", "gateway-api"]);
  });

  for (const name of ["pipy", "", "Envoy", "constructor"]) {
    it(`says which ones there are when asked for ${JSON.stringify(name)}`, () => {
      expect(() => dataPlaneNamed(name)).to.throw(
        UsageError,
        `there is no data plane ${JSON.stringify(name)}: --data-plane is one of envoy, gateway-api`,
      );
    });
  }

  it("tells reconcile which GatewayClass carries the traffic, and nothing of one where mc-wan does", () => {
    const flags = { gatewayClass: "istio", ingressMode: "PodIP" } as const;
    expect(dataPlaneNamed("gateway-api").settings(flags)).to.deep.equal({
      name: "gateway-api",
      gatewayClassName: "istio",
    });
    expect(dataPlaneNamed("envoy").settings({ ingressMode: "NodePort" })).to.deep.equal({ name: "envoy" });
  });

  it("refuses flags that a data plane can't follow", () => {
    expect(() => dataPlaneNamed("envoy").settings({ gatewayClass: "istio", ingressMode: "PodIP" })).to.throw(
      UsageError,
      "--gateway-class goes with --data-plane gateway-api",
    );
    expect(() => dataPlaneNamed("gateway-api").settings({ ingressMode: "PodIP" })).to.throw(
      UsageError,
      "needs --gateway-class",
    );
    for (const ingressMode of ["NodePort", "LoadBalancer", "Static"] as const) {
      expect(() => dataPlaneNamed("gateway-api").settings({ gatewayClass: "istio", ingressMode })).to.throw(
        UsageError,
        `not ${ingressMode}`,
      );
    }
  });
});
