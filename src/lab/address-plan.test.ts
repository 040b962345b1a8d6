import { expect } from "chai";
import { clusterAddresses, MAX_CLUSTERS, routingTable, tunnelLinks } from "./address-plan.ts";

function number(address: string): number {
  return address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
}

/** First and last address of a CIDR. */
function range(cidr: string): [number, number] {
  const [address = "", bits = ""] = cidr.split("/");
  const size = 2 ** (32 - Number(bits));
  return [number(address), number(address) + size - 1];
}

describe("the address plan", () => {
  it("keeps every address inside 198.18.0.0/15", () => {
    const [first, last] = range("198.18.0.0/15");
    for (let n = 1; n <= MAX_CLUSTERS; n += 1) {
      const { cidr, serviceCIDR, management, managementGateway } = clusterAddresses(n);
      const used = [...range(cidr), ...range(serviceCIDR), number(management), number(managementGateway)];
      expect(Math.min(...used)).to.be.at.least(first);
      expect(Math.max(...used)).to.be.at.most(last);
    }
  });

  it("gives no two clusters a common address", () => {
    const ranges = Array.from({ length: MAX_CLUSTERS }, (_, index) => clusterAddresses(index + 1))
      .flatMap(({ cidr, serviceCIDR }) => [range(cidr), range(serviceCIDR)])
      .concat([range("198.19.240.0/21"), range("198.19.255.0/24")])
      .sort((a, b) => a[0] - b[0]);
    for (const [index, [first]] of ranges.slice(1).entries())
      expect(first).to.be.greaterThan(ranges[index]![1]);
  });

  it("keeps Pods apart from the control plane and the client", () => {
    const { podCIDR, controlPlaneCIDR, apiServer, dns, node, client } = clusterAddresses(3);
    const [first] = range(podCIDR);
    for (const address of [apiServer, dns, node]) {
      expect(number(address))
        .to.be.within(...range(controlPlaneCIDR))
        .and.below(first);
    }
    expect(number(client)).to.be.greaterThan(range(controlPlaneCIDR)[1]).and.below(first);
  });

  it("refuses a cluster that it has no room for", () => {
    expect(() => clusterAddresses(0)).to.throw(RangeError);
    expect(() => clusterAddresses(MAX_CLUSTERS + 1)).to.throw(RangeError);
  });

  it("joins each pair of clusters by one link per tunnel, with names and addresses of its own", () => {
    const links = tunnelLinks(["a", "b", "c"], ["business", "default"]);
    expect(links).to.have.length(6);
    const ends = links.flatMap((link) => link.ends);
    expect(new Set(ends.map(({ end }) => end.address)).size).to.equal(12);
    expect(new Set(ends.map(({ cluster, end }) => `${cluster} ${end.interface}`)).size).to.equal(12);
    expect(Math.max(...ends.map(({ end }) => end.interface.length))).to.be.at.most(15);
  });

  it("knows no routing table for a tunnel that the lab doesn't have", () => {
    expect(routingTable(["business", "default"], "default")).to.equal(102);
    expect(routingTable(["business", "default"], "mpls")).to.equal(undefined);
  });
});
