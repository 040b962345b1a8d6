import { expect } from "chai";
import fc from "fast-check";
import { quota, refusals, type Claimed } from "./peer-quota.ts";

const service = (key: string, more: Partial<Claimed> = {}): Claimed => ({
  kind: "ServiceAdvertisement",
  key,
  characters: 500,
  endpoints: 0,
  ...more,
});
const reasonsOf = (claimed: readonly Claimed[]): string[] =>
  [...refusals(claimed)].map(([key, { reason }]) => `${key} ${reason}`).sort();

describe("what is taken of a peer", () => {
  it("is everything, for a peer that says what a cluster may say", () => {
    const all = Array.from({ length: quota.objects }, (_, index) =>
      service(`shop/s${index}`, { endpoints: 4 }),
    );
    expect(reasonsOf(all)).to.deep.equal([]);
  });

  it("is no service of the control plane or of mc-wan, and none that is too long", () => {
    const wrong = ["kube-system/dns", "default/kubernetes", "mc-wan/x", "mc-wan-system/x"];
    expect(
      reasonsOf([
        ...wrong.map((key) => service(key)),
        service("default/web"),
        service("shop/long", { characters: quota.characters + 1 }),
      ]),
    ).to.deep.equal([
      "default/kubernetes ReservedName",
      "kube-system/dns ReservedName",
      "mc-wan-system/x ReservedName",
      "mc-wan/x ReservedName",
      "shop/long QuotaExceeded",
    ]);
    expect(
      reasonsOf([{ kind: "GatewayAdvertisement", key: "mc-wan-system/p", characters: 1, endpoints: 0 }]),
    ).to.deep.equal([]);
  });

  it("is no more than so many objects and endpoints, the same ones in whatever order they come", () => {
    const policies = Array.from({ length: quota.policies + 3 }, (_, index): Claimed => ({
      kind: "WANPolicy",
      key: `p${String(index).padStart(4, "0")}`,
      characters: 1,
      endpoints: 0,
    }));
    expect([...refusals(policies).keys()]).to.deep.equal(["p0100", "p0101", "p0102"]);
    const endpoints = Array.from({ length: 30 }, (_, index) =>
      service(`shop/s${10 + index}`, { endpoints: 1_000 }),
    );
    expect(refusals(endpoints).size).to.equal(10);
    fc.assert(
      fc.property(fc.shuffledSubarray(endpoints, { minLength: 30 }), (shuffled) => {
        expect(reasonsOf(shuffled)).to.deep.equal(reasonsOf(endpoints));
      }),
    );
  });
});
