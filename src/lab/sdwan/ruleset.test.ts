import { expect } from "chai";
import { closePort, openPort, routingRules, ruleset } from "./ruleset.ts";

describe("the packet filter of a cluster", () => {
  it("names its links and its peers' API servers", () => {
    const text = ruleset({
      tunnelInterfaces: ["wan0-c2", "wan1-c2"],
      controlInterfaces: ["ctl-c2"],
      apiServer: "198.18.1.1",
      peerApiServers: ["198.18.2.1"],
    });
    expect(text).to.contain('set links { type ifname; elements = { "wan0-c2", "wan1-c2" } }');
    expect(text).to.contain('set control_links { type ifname; elements = { "ctl-c2" } }');
    expect(text).to.contain("set peer_api_servers { type ipv4_addr; elements = { 198.18.2.1 } }");
  });

  it("has no empty list, which nft refuses, for a cluster that is alone", () => {
    const alone = {
      tunnelInterfaces: [],
      controlInterfaces: [],
      apiServer: "198.18.1.1",
      peerApiServers: [],
    };
    expect(ruleset(alone)).not.to.contain("elements");
  });

  it("opens and closes a port on all links of a tunnel", () => {
    expect(openPort(["wan0-c2", "wan0-c3"], 31111)).to.equal(
      'add element inet mcwan_lab open { "wan0-c2" . 31111 }\nadd element inet mcwan_lab open { "wan0-c3" . 31111 }\n',
    );
    expect(closePort(["wan0-c2"], 31111)).to.equal(
      'delete element inet mcwan_lab open { "wan0-c2" . 31111 }\n',
    );
  });

  it("routes requests by their destination port and replies by their source port", () => {
    expect(routingRules(31111, 101)).to.deep.equal([
      "pref 1000 to 198.18.0.0/16 ipproto tcp dport 31111 lookup 101",
      "pref 1000 to 198.18.0.0/16 ipproto tcp sport 31111 lookup 101",
    ]);
  });
});
