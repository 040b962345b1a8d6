/** What mc-wan writes into the Gateway API's kinds is valid by that API's own schemas. */
import { readdirSync, readFileSync } from "node:fs";
import { Gateway } from "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1/Gateway";
import { GatewayClass } from "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1/GatewayClass";
import { HTTPRoute } from "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1/HTTPRoute";
import { expect } from "chai";
import { parse } from "yaml";
import type { KubeObject } from "../model/kube-object.ts";

const dir = new URL("testdata/", import.meta.url);
const deploy = new URL("../../deploy/", import.meta.url);

/** Throws, with every fault found, unless the object is valid. */
const validate: Readonly<Record<string, (object: never) => void>> = {
  Gateway: (object) => {
    new Gateway(object).validate();
  },
  GatewayClass: (object) => {
    new GatewayClass(object).validate();
  },
  HTTPRoute: (object) => {
    new HTTPRoute(object).validate();
  },
};

function written(name: string): readonly KubeObject[] {
  const { objects } = parse(readFileSync(new URL(name, dir), "utf8")) as {
    objects: Record<string, KubeObject>;
  };
  return Object.values(objects).filter(({ kind }) => kind in validate);
}

describe("the Gateway API objects that reconcile writes", () => {
  const outputs = readdirSync(dir).filter((name) => name.endsWith(".out.yaml"));

  for (const name of outputs) {
    const objects = written(name);
    if (objects.length === 0) continue;
    it(`are valid in ${name}`, () => {
      for (const object of objects) {
        expect(
          () => validate[object.kind]?.(object as never),
          `${object.kind} ${object.metadata.name}`,
        ).not.to.throw();
      }
    });
  }

  it("are Gateways and HTTPRoutes", () => {
    const seen = new Set(outputs.flatMap(written).map(({ kind }) => kind));
    expect([...seen].sort()).to.deep.equal(["Gateway", "HTTPRoute"]);
  });

  it("name a GatewayClass that is valid as it is installed", () => {
    const object = parse(readFileSync(new URL("gateway-class.yaml", deploy), "utf8")) as KubeObject;
    expect(object.kind).to.equal("GatewayClass");
    expect(() => validate["GatewayClass"]?.(object as never)).not.to.throw();
  });

  it("would be refused with a listener that has no port", () => {
    const listeners = [{ name: "http", protocol: "HTTP" }];
    const gateway = { metadata: { name: "g" }, spec: { gatewayClassName: "mc-wan", listeners } };
    expect(() => validate["Gateway"]?.(gateway as never)).to.throw(/port/);
  });
});
