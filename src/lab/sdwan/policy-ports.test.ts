import { expect } from "chai";
import {
  chosenPorts,
  DRAIN_MS,
  nextDeadline,
  NO_PORTS,
  portsInForce,
  step,
  type PortChange,
} from "./policy-ports.ts";

const policy = {
  cluster: "c1",
  name: "high",
  createdAt: "2026-01-01T00:00:00Z",
  tunnel: "business",
  port: 31111,
};

function told(changes: readonly PortChange[]): string[] {
  return changes.map(({ kind, port, tunnel }) => `${kind} ${port} ${tunnel}`);
}

describe("the SD-WAN's choice of ports", () => {
  it("lets the older of two policies on one port hold, in whichever order they are seen", () => {
    const younger = { ...policy, name: "a", tunnel: "default", createdAt: "2026-01-02T00:00:00Z" };
    for (const policies of [
      [policy, younger],
      [younger, policy],
    ]) {
      expect([...chosenPorts(policies, ["business", "default"])]).to.deep.equal([[31111, "business"]]);
    }
  });

  it("leaves out a port whose tunnel the lab doesn't have", () => {
    expect(chosenPorts([{ ...policy, tunnel: "mpls" }], ["business"]).size).to.equal(0);
  });

  it("closes a port whose oldest policy names an unknown tunnel, rather than falling back to a younger one", () => {
    const younger = { ...policy, name: "z", createdAt: "2026-01-02T00:00:00Z" };
    expect(chosenPorts([{ ...policy, tunnel: "mpls" }, younger], ["business"]).size).to.equal(0);
  });
});

describe("the SD-WAN's steps", () => {
  const high = new Map([[31111, "business"]]);

  it("open a new port before anything is taken away", () => {
    const { state } = step(NO_PORTS, high, 0);
    const { changes } = step(state, new Map([[31112, "business"]]), DRAIN_MS * 2);
    expect(told(changes)).to.deep.equal(["open 31112 business", "route 31112 business"]);
  });

  it("keep the way of a port that is gone until its connections have drained", () => {
    const gone = step(step(NO_PORTS, high, 0).state, new Map(), 1000);
    expect(gone.changes).to.deep.equal([]);
    expect(nextDeadline(gone.state)).to.equal(1000 + DRAIN_MS);
    expect(told(step(gone.state, new Map(), 1000 + DRAIN_MS).changes)).to.deep.equal([
      "unroute 31111 business",
      "close 31111 business",
    ]);
  });

  it("forget the end of a port that comes back in time", () => {
    const back = step(step(step(NO_PORTS, high, 0).state, new Map(), 1000).state, high, 2000);
    expect(back.changes).to.deep.equal([]);
    expect(nextDeadline(back.state)).to.equal(Infinity);
  });

  it("route a port that changes its tunnel at once, new before old, and let late replies through", () => {
    const moved = step(step(NO_PORTS, high, 0).state, new Map([[31111, "default"]]), 1000);
    expect(told(moved.changes)).to.deep.equal([
      "open 31111 default",
      "route 31111 default",
      "unroute 31111 business",
    ]);
    expect(told(step(moved.state, new Map([[31111, "default"]]), 1000 + DRAIN_MS).changes)).to.deep.equal([
      "close 31111 business",
    ]);
  });

  it("have nothing to do when nothing has changed", () => {
    const { state } = step(NO_PORTS, high, 0);
    expect(step(state, high, 5).changes).to.deep.equal([]);
  });

  it("can be asked what is open and what is draining", () => {
    const both = new Map([
      [31112, "default"],
      [31111, "business"],
    ]);
    const { state } = step(step(NO_PORTS, both, 0).state, high, 1000);
    expect(portsInForce(state)).to.deep.equal([
      { port: 31111, tunnel: "business", state: "open" },
      { port: 31112, tunnel: "default", state: "draining" },
    ]);
  });
});
