import { expect } from "chai";
import type { ObjectTypes } from "../model/kinds.ts";
import type { Implementation } from "./implementations.ts";
import { otherGateway, servicesOfGateways, type OtherGateway } from "./other-gateways.ts";

type Gateway = ObjectTypes["Gateway"];
type Service = ObjectTypes["Service"];
type EndpointSlice = ObjectTypes["EndpointSlice"];

const key = "secure/payment-ingress";
const implementation: Implementation = {
  name: "Somebody",
  controllerName: "example.com/gateways",
  gatewayOf: ({ metadata }) => metadata.labels?.["of"],
};

const service = (
  name: string,
  ports: object[] = [{ name: "high", port: 31111, targetPort: "http" }],
): Service =>
  ({ metadata: { name, namespace: "secure", labels: { of: key } }, spec: { ports } }) as unknown as Service;
const slice = (port: number | undefined, ...endpoints: object[]): EndpointSlice =>
  ({ metadata: { name: "s" }, ports: [{ name: "high", port }], endpoints }) as unknown as EndpointSlice;
const ready = (address: string): object => ({ addresses: [address] });

function gateway(changes: object = {}, status: object = {}): Gateway {
  const metadata = { name: "payment-ingress", namespace: "secure", generation: 2 };
  return {
    metadata: { ...metadata, labels: { "app.kubernetes.io/managed-by": "mc-wan" }, ...changes },
    spec: { gatewayClassName: "theirs", listeners: [] },
    status,
  } as unknown as Gateway;
}

const programmed = (status: string, observedGeneration: number): object => ({
  listeners: [{ name: "high", conditions: [{ type: "Programmed", status, observedGeneration }] }],
});

function look(
  standing: Gateway | undefined,
  services: readonly Service[] = [],
  slices: readonly EndpointSlice[] = [],
): OtherGateway {
  const home = {
    Gateway: new Map(standing === undefined ? [] : [[key, standing]]),
    Service: new Map(services.map((one) => [`secure/${one.metadata.name}`, one])),
  };
  return otherGateway({
    key,
    gatewayClassName: "theirs",
    implementation,
    home,
    services: servicesOfGateways(home, implementation),
    slices: new Map([["secure/a", slices]]),
  });
}

const listeners = [{ name: "high", port: 31111 }];
const reasonsOf = (...parts: Parameters<typeof look>): string[] =>
  look(...parts)
    .problems(listeners)
    .map(({ reason }) => reason);

describe("a Gateway that another implementation carries", () => {
  const good = gateway({}, programmed("True", 2));

  it("is not there if it does not stand, is somebody's, or is of another class still", () => {
    expect(reasonsOf(undefined)).to.deep.equal(["Pending"]);
    expect(reasonsOf(gateway({ labels: {} }), [service("a")])).to.deep.equal(["Pending"]);
    const other = { ...good, spec: { ...good.spec, gatewayClassName: "mc-wan" } };
    expect(reasonsOf(other, [service("a")])).to.deep.equal(["Pending"]);
  });

  it("has no address without a Service, and the implementation's own words are told", () => {
    const refused = gateway(
      {},
      { conditions: [{ type: "Accepted", status: "False", reason: "Invalid", message: "no such thing" }] },
    );
    expect(reasonsOf(refused)).to.deep.equal(["AddressNotAssigned"]);
    expect(look(refused).problems(listeners)[0]?.message).to.contain("It says: Invalid, no such thing");
  });

  it("has no address without a ready Pod", () => {
    expect(reasonsOf(good, [service("a")])).to.deep.equal(["AddressNotAssigned"]);
    const unready = slice(31111, { addresses: ["198.18.1.1"], conditions: { ready: false } });
    expect(reasonsOf(good, [service("a")], [unready])).to.deep.equal(["AddressNotAssigned"]);
    expect(reasonsOf(good, [service("a", [])], [slice(31111, ready("198.18.1.1"))])).to.deep.equal([
      "AddressNotAssigned",
    ]);
  });

  it("is programmed by the word on its listener alone, of the generation that stands or of one before", () => {
    const stateOf = (status: object): string => look(gateway({}, status)).listener("high", 31111).state;
    expect(stateOf(programmed("True", 2))).to.equal("Programmed");
    expect(stateOf(programmed("True", 1))).to.equal("Before");
    expect(stateOf(programmed("False", 2))).to.equal("Unknown");
    expect(stateOf({})).to.equal("Unknown");
    expect(reasonsOf(gateway(), [service("a")], [slice(31111, ready("198.18.1.1"))])).to.deep.equal([
      "Pending",
    ]);
  });

  it("is where its slices say: the first port they name, and the Pods that have that", () => {
    const slices = [
      slice(undefined, ready("198.18.1.9")),
      slice(31111, ready("198.18.1.2"), { ...ready("198.18.1.1"), zone: "a" }, { addresses: [] }),
      slice(41111, ready("198.18.1.3")),
    ];
    expect(look(good, [service("a")], slices).listener("high", 31111)).to.deep.equal({
      containerPort: 31111,
      addresses: [{ address: "198.18.1.1", zone: "a" }, { address: "198.18.1.2" }],
      state: "Programmed",
    });
    expect(reasonsOf(good, [service("a")], slices)).to.deep.equal([]);
  });

  it("has the first of several Services", () => {
    const slices = [slice(31111, ready("198.18.1.2"))];
    expect(reasonsOf(good, [service("b"), service("a"), service("c")], slices)).to.deep.equal([]);
  });
});
