import { expect } from "chai";
import { clusterAddresses } from "../address-plan.ts";
import type { ClusterPlan } from "../lab-plan.ts";
import { networkCommands } from "./network.ts";

function cluster(id: string, number: number): ClusterPlan {
  return {
    id,
    number,
    addresses: clusterAddresses(number),
    nodeName: `${id}-node`,
    context: `mcwan-${id}`,
    hostPort: 0,
  };
}

const plan = {
  clusters: [cluster("c1", 1), cluster("c2", 2)],
  tunnels: [{ name: "business" }, { name: "default" }],
};

function linesIn(netns: string | undefined): readonly string[] {
  return networkCommands(plan)
    .filter((commands) => commands.netns === netns)
    .flatMap((commands) => commands.lines);
}

describe("the lab's network", () => {
  it("has one veth pair per tunnel between two clusters", () => {
    expect(linesIn(undefined).filter((line) => line.includes("wan"))).to.deep.equal([
      "link add wan0-c2 netns c1 type veth peer name wan0-c1 netns c2",
      "link add wan1-c2 netns c1 type veth peer name wan1-c1 netns c2",
    ]);
  });

  it("reaches peers over a tunnel only by that tunnel's own routing table", () => {
    const routes = linesIn("c1").filter(
      (line) => line.startsWith("route") && line.includes("table") && line.includes("198.18.2."),
    );
    expect(routes).to.deep.equal([
      "route add 198.18.2.0/24 via 198.19.240.2 dev wan0-c2 src 198.18.1.3 table 101 onlink",
      "route add 198.18.2.0/24 via 198.19.240.6 dev wan1-c2 src 198.18.1.3 table 102 onlink",
      "route add 198.18.2.0/24 via 198.19.248.2 dev ctl-c2 src 198.18.1.3 table 100 onlink",
    ]);
  });

  it("makes a client's link before the client's own side of it", () => {
    const order = networkCommands(plan).map(({ netns }) => netns);
    expect(order.indexOf("client.c1")).to.be.greaterThan(order.indexOf("c1"));
  });
});
