/** EndpointSlices that anybody may write, or that arrive half-made: none stops the others or gets an address Envoy refuses. */
import { expect } from "chai";
import { readFileSync } from "node:fs";
import type { KubeObject } from "../model/kube-object.ts";
import { buildCase, parseCase } from "./case-file.ts";
import { createTranslate } from "./translate.ts";

const file = parseCase(
  readFileSync(new URL("testdata/backends-weights-and-refusals.in.yaml", import.meta.url), "utf8"),
);

/** Addresses of the endpoints of Service cart, with these slices in place of all others. */
function endpointsWith(slices: readonly object[]): readonly string[] {
  const namespace = file.objects.find(({ kind, metadata }) => kind === "Service" && metadata.name === "cart")
    ?.metadata.namespace;
  const made = slices.map((slice, index) => ({
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    addressType: "IPv4",
    ports: [{ name: "http", port: 8080 }],
    metadata: { name: `cart-${index}`, namespace, labels: { "kubernetes.io/service-name": "cart" } },
    ...slice,
  })) as unknown as KubeObject[];
  const objects = [...file.objects.filter(({ kind }) => kind !== "EndpointSlice"), ...made];
  const { world, desired } = buildCase({ ...file, objects });
  const { config } = createTranslate()(world, desired);
  return [...config.fleets.values()]
    .flatMap(({ endpoints }) => [...endpoints])
    .filter(([name]) => name.includes("/cart/"))
    .flatMap(([, { endpoints }]) => endpoints.flatMap(({ lbEndpoints }) => lbEndpoints))
    .map(({ hostIdentifier: { value } }) => {
      const address = typeof value === "object" ? value.address?.address.value : undefined;
      return address !== undefined && "address" in address ? address.address : "";
    });
}

const good = { endpoints: [{ addresses: ["10.1.0.1"] }] };

describe("EndpointSlices as nobody should write them", () => {
  it("without endpoints, ports or a port's number leave the others as they are", () => {
    for (const odd of [
      { endpoints: null },
      { ports: null },
      { ports: [{ name: "http" }] },
      { endpoints: [{ addresses: [] }] },
    ])
      expect(endpointsWith([odd, good]).filter((address) => address === "10.1.0.1")).to.have.length(1);
  });

  it("name each address once, however often it stands there", () => {
    const twice = { endpoints: [{ addresses: ["10.1.0.1"] }, { addresses: ["10.1.0.1"] }] };
    expect(endpointsWith([twice, good, good])).to.deep.equal(["10.1.0.1"]);
  });

  it("take ready: null as ready, and a terminating Pod that serves only where no other is", () => {
    const unknown = { endpoints: [{ addresses: ["10.1.0.2"], conditions: { ready: null } }] };
    expect(endpointsWith([unknown])).to.deep.equal(["10.1.0.2"]);
    const leaving = {
      endpoints: [{ addresses: ["10.1.0.3"], conditions: { serving: true, terminating: true } }],
    };
    expect(endpointsWith([leaving, good])).to.deep.equal(["10.1.0.1"]);
    expect(endpointsWith([leaving])).to.deep.equal(["10.1.0.3"]);
  });

  it("hold fifty times a thousand addresses", () => {
    const slices = Array.from({ length: 50 }, (_, slice) => ({
      endpoints: Array.from({ length: 1_000 }, (_each, index) => ({
        addresses: [`10.${slice}.${Math.floor(index / 250)}.${(index % 250) + 1}`],
      })),
    }));
    expect(endpointsWith(slices)).to.have.length(50_000);
  }).timeout(30_000);

  it("of another Service are no endpoints of this one", () => {
    const other = {
      ...good,
      metadata: { name: "x", namespace: "shop", labels: { "kubernetes.io/service-name": "z" } },
    };
    expect(endpointsWith([other])).to.deep.equal([]);
  });
});
