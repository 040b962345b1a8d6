import { expect } from "chai";
import type { IContainer } from "kubernetes-models/v1/Container";
import type { IPod } from "kubernetes-models/v1/Pod";
import { ContainerConfigError, containerEnvironment, environmentSources, expand } from "./environment.ts";

const pod: IPod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "web-1", namespace: "shop", uid: "u1", labels: { app: "web", tier: "front" } },
};
const addresses = { podIP: "198.18.1.70", nodeIP: "198.18.1.3", nodeName: "n1" };
const sources = new Map([
  ["ConfigMap/settings", new Map([["color", Buffer.from("blue")]])],
  ["Secret/keys", new Map([["pin", Buffer.from("1234")]])],
]);

function environment(container: Partial<IContainer>): Record<string, string> {
  return containerEnvironment(pod, { name: "c", ...container }, { sources, addresses });
}

describe("a container's environment", () => {
  it("expands references to earlier variables, keeps unknown ones and unescapes $$", () => {
    expect(expand("a $(A) $(B) $$(A) $ $(", { A: "1" })).to.equal("a 1 $(B) $(A) $ $(");
  });

  it("holds values from fields, ConfigMaps and Secrets, in order", () => {
    const variables = environment({
      envFrom: [{ prefix: "CM_", configMapRef: { name: "settings" } }],
      env: [
        { name: "IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } },
        { name: "APP", valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
        { name: "PIN", valueFrom: { secretKeyRef: { name: "keys", key: "pin" } } },
        { name: "URL", value: "http://$(IP)/$(PIN)/$(CM_color)" },
        { name: "CPU", valueFrom: { resourceFieldRef: { resource: "requests.cpu" } } },
      ],
      resources: { requests: { cpu: "1500m" } },
    });
    expect(variables).to.deep.equal({
      CM_color: "blue",
      IP: "198.18.1.70",
      APP: "web",
      PIN: "1234",
      URL: "http://198.18.1.70/1234/blue",
      CPU: "2",
    });
  });

  it("is refused when a source or key is missing, unless it is optional", () => {
    const from = (optional: boolean): Partial<IContainer> => ({
      env: [{ name: "X", valueFrom: { configMapKeyRef: { name: "settings", key: "nope", optional } } }],
    });
    expect(() => environment(from(false))).to.throw(ContainerConfigError, "nope");
    expect(environment(from(true))).to.deep.equal({});
    expect(() => environment({ envFrom: [{ secretRef: { name: "gone" } }] })).to.throw(
      ContainerConfigError,
      "gone",
    );
  });

  it("names each source that it needs once", () => {
    const container: IContainer = {
      name: "c",
      envFrom: [{ configMapRef: { name: "settings" } }],
      env: [
        { name: "A", valueFrom: { configMapKeyRef: { name: "settings", key: "color" } } },
        { name: "B", valueFrom: { secretKeyRef: { name: "keys", key: "pin" } } },
      ],
    };
    expect(environmentSources(container)).to.deep.equal(["ConfigMap/settings", "Secret/keys"]);
  });
});
