import { expect } from "chai";
import { UsageError } from "../../model/errors.ts";
import { clusterAddresses } from "../address-plan.ts";
import type { ClusterPlan } from "../lab-plan.ts";
import { changedLinks, linksAtUp, type LinkChange, type LinkSelector } from "./link-change.ts";

const clusters = ["c1", "c2", "c3"].map((id, index): ClusterPlan => {
  const number = index + 1;
  return {
    id,
    number,
    addresses: clusterAddresses(number),
    nodeName: id,
    context: id,
    hostPort: 0,
  };
});
const plan = { clusters, tunnels: [{ name: "business", delayMs: 20, rateMbit: 100 }, { name: "default" }] };

/** The directions that a change makes different, as words. */
function changed(selector: LinkSelector, change: LinkChange): string[] {
  const before = linksAtUp(plan);
  const after = changedLinks(plan, before, { selector, change });
  expect(after.generation).to.equal(before.generation + 1);
  return after.directions
    .filter((direction, index) => JSON.stringify(direction) !== JSON.stringify(before.directions[index]))
    .map(({ link, from, to }) => `${link} ${from}>${to}`);
}

describe("the links of a lab", () => {
  it("are at first as the tunnels were asked for, and control planes without limits", () => {
    const { directions } = linksAtUp(plan);
    expect(directions).to.have.length(3 * 3 * 2);
    expect(directions.find(({ link }) => link === "business")?.quality).to.deep.equal({
      delayMs: 20,
      rateMbit: 100,
    });
    const control = directions.filter(({ link }) => link === "control-plane");
    expect(control.map(({ quality, cut }) => [quality, cut])).to.deep.equal(Array(6).fill([{}, false]));
  });

  it("are changed where the selector says: a link, a pair, one direction", () => {
    const cut = { cut: true };
    expect(changed({ link: "business" }, cut)).to.have.length(6);
    expect(changed({ link: "control-plane", between: ["c3", "c1"] }, cut)).to.deep.equal([
      "control-plane c1>c3",
      "control-plane c3>c1",
    ]);
    expect(changed({ link: "default", from: "c2", to: "c1" }, cut)).to.deep.equal(["default c2>c1"]);
    expect(changed({ from: "c1" }, cut)).to.have.length(6);
  });

  it("keep the qualities that a change doesn't name, lose those that it sets to 0, and come back by a reset", () => {
    const asked = (change: LinkChange) => ({ selector: { link: "business" }, change });
    const changes = [{ quality: { lossPercent: 1 } }, { quality: { delayMs: 0 } }, { cut: true }];
    const states = [linksAtUp(plan)];
    for (const change of changes) states.push(changedLinks(plan, states.at(-1)!, asked(change)));
    expect(states.map(({ directions: [first] }) => [first?.quality, first?.cut])).to.deep.equal([
      [{ rateMbit: 100, delayMs: 20 }, false],
      [{ rateMbit: 100, delayMs: 20, lossPercent: 1 }, false],
      [{ rateMbit: 100, lossPercent: 1 }, false],
      [{ rateMbit: 100, lossPercent: 1 }, true],
    ]);
    const back = changedLinks(plan, states.at(-1)!, asked({ reset: true }));
    expect(back.directions).to.deep.equal(states[0]!.directions);
  });

  it("are not changed by a selector that means none, and what there is is said", () => {
    for (const [selector, words] of [
      [{ link: "mpls" }, /no link mpls: it has business, default, control-plane/],
      [{ from: "c9" }, /no cluster c9: it has c1, c2, c3/],
      [{ from: "c1", to: "c1" }, /goes from one cluster to another/],
    ] as const)
      expect(() => changed(selector, { cut: true })).to.throw(UsageError, words);
  });
});
