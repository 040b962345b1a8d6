import { expect } from "chai";
import type { ObjectTypes } from "../model/kinds.ts";
import { fleetOf } from "./fleets.ts";

const gateway = (namespace: string, name: string): ObjectTypes["Gateway"] => ({
  apiVersion: "gateway.networking.k8s.io/v1",
  kind: "Gateway",
  metadata: { namespace, name },
  spec: { gatewayClassName: "mc-wan", listeners: [] },
});

describe("the fleet of a user's Gateway", () => {
  it("has a name that no Gateway of another namespace can have, however long and dotted its name is", () => {
    const { name } = fleetOf(gateway("shop", `pay.${"long".repeat(20)}`), []);
    expect(name.length).to.be.at.most(63);
    // A namespace's name has no dot: the plain form of another Gateway would have to be split here.
    const [namespace = "", ...rest] = name.split(".");
    expect(fleetOf(gateway(namespace, rest.join(".")), []).name).not.to.equal(name);
  });
});
