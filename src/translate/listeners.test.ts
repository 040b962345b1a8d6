import { expect } from "chai";
import type { ObjectTypes } from "../model/kinds.ts";
import { judgeListeners } from "./listeners.ts";

const listener = (name: string, hostname: string) => ({
  name,
  hostname,
  port: 443,
  protocol: "HTTPS",
  tls: {},
});
const gateway: ObjectTypes["Gateway"] = {
  apiVersion: "gateway.networking.k8s.io/v1",
  kind: "Gateway",
  metadata: { namespace: "shop", name: "web" },
  spec: { gatewayClassName: "mc-wan", listeners: [listener("wide", "*.example.com")] },
};
const setOf = (name: string, hostname: (index: number) => string): ObjectTypes["ListenerSet"] => ({
  apiVersion: "gateway.networking.k8s.io/v1",
  kind: "ListenerSet",
  metadata: { namespace: "team", name },
  spec: {
    parentRef: { name: "web", namespace: "shop" },
    listeners: Array.from({ length: 64 }, (_, index) => listener(`l${index}`, hostname(index))),
  },
});

describe("listeners of many ListenerSets", () => {
  it("are compared with the wildcards above them, not each with every other", () => {
    const listenerSets = Array.from({ length: 60 }, (_, number) => ({
      set: setOf(`set-${number}`, (index) => `n${index}.s${number}.example.org`),
      isAllowed: true,
    }));
    listenerSets.push({ set: setOf("below", (index) => `n${index}.example.com`), isAllowed: true });
    const before = process.cpuUsage().user;
    const judged = judgeListeners({ gateway, listenerSets }, { listeners: new Map(), isInsecure: false });
    expect((process.cpuUsage().user - before) / 1_000).to.be.below(2_500);
    expect(judged.length).to.equal(61 * 64 + 1);
    expect(judged.filter(({ overlap }) => overlap !== undefined).length).to.equal(65);
    expect(judged[0]?.overlap?.message).to.contain("wide and l0 overlap");
    expect(judged.filter(({ conflict }) => conflict !== undefined)).to.deep.equal([]);
  });

  it("are looked up by what would clash: sixteen thousand take no second, and who came last gives way", () => {
    const listenerSets = Array.from({ length: 250 }, (_, number) => ({
      set: setOf(`set-${number}`, (index) => `n${index}.s${number}.example.org`),
      isAllowed: true,
    }));
    listenerSets.push({ set: setOf("again", (index) => `n${index}.s7.example.org`), isAllowed: true });
    const before = process.cpuUsage().user;
    const judged = judgeListeners({ gateway, listenerSets }, { listeners: new Map(), isInsecure: false });
    // Each with every other took 7 s.
    expect((process.cpuUsage().user - before) / 1_000).to.be.below(2_500);
    const clashing = judged.filter(({ conflict }) => conflict !== undefined);
    expect(clashing.map(({ owner }) => owner)).to.deep.equal(Array(64).fill("ListenerSet team/again"));
    expect(clashing[0]?.conflict?.reason).to.equal("HostnameConflict");
  });
});
