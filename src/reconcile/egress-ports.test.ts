import { expect } from "chai";
import { allocateContainerPorts, type PortRequest } from "./egress-ports.ts";

const allocated = (...requests: PortRequest[]): Record<string, number> =>
  Object.fromEntries(allocateContainerPorts(requests));

describe("container ports of the egress pool", () => {
  it("are kept as noted, whatever any shadow says", () => {
    expect(
      allocated(
        { key: "a/thief:80", standing: 20_001, isServed: true, since: "2020" },
        { key: "b/victim:80", noted: 20_001, standing: 20_001, isServed: true, since: "2026" },
      )["b/victim:80"],
    ).to.equal(20_001);
    expect(allocated({ key: "b/victim:80", noted: 20_001, standing: 20_777, isServed: true })).to.deep.equal({
      "b/victim:80": 20_001,
    });
    expect(allocated({ key: "b/victim:80", noted: 20_001 })).to.deep.equal({ "b/victim:80": 20_001 });
  });

  it("without a note belong to the shadow that is served at them, then to the older one", () => {
    const served = { key: "b/victim:80", standing: 20_001, isServed: true, since: "2026" };
    const unserved = { key: "a/thief:80", standing: 20_001, isServed: false, since: "2020" };
    expect(allocated(unserved, served)["b/victim:80"]).to.equal(20_001);
    expect(allocated({ ...unserved, since: "2027" }, { ...served, isServed: false })["b/victim:80"]).to.equal(
      20_001,
    );
  });

  it("are never given twice, and hardly ever depend on each other", () => {
    const requests = Array.from({ length: 3000 }, (_, index) => ({ key: `n/s-${index}:80` }));
    const all = allocateContainerPorts(requests);
    expect(new Set(all.values()).size).to.equal(3000);
    const fewer = allocateContainerPorts(requests.slice(1));
    const moved = [...fewer].filter(([key, port]) => all.get(key) !== port);
    expect(moved.length).to.be.below(10);
  });

  it("end with the 10,000th", () => {
    const requests = Array.from({ length: 10_001 }, (_, index) => ({ key: `n/s-${index}:80` }));
    expect(allocateContainerPorts(requests).size).to.equal(10_000);
  });
});
