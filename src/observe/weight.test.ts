import { expect } from "chai";
import type { KubeObject } from "../model/kube-object.ts";
import { kinds } from "../model/kinds.ts";
import { QuotaError, Weight } from "./weight.ts";

const object = (name: string, text = ""): KubeObject => ({
  apiVersion: "v1",
  kind: "X",
  metadata: { name },
  text,
});
const put = (name: string, text?: string) =>
  ({ type: "Put", key: name, object: object(name, text), resourceVersion: "1" }) as const;

describe("what is held of another cluster", () => {
  it("is weighed in a list and in each event, and what goes makes room", () => {
    const weight = new Weight(kinds.WANPolicy, { objects: 2, bytes: 1000 });
    const held = new Map([["a", object("a")]]);
    weight.isHeld(held);
    expect(weight.takes(held, put("b"))).to.equal(true);
    held.set("b", object("b"));
    expect(weight.takes(held, put("c"))).to.equal(false);
    expect(weight.takes(held, put("b", "x".repeat(2000)))).to.equal(false);
    expect(weight.takes(held, { type: "Remove", key: "a", resourceVersion: "2" })).to.equal(true);
    held.delete("a");
    expect(weight.takes(held, put("c"))).to.equal(true);
    expect(() => { weight.check(3, 10); }).to.throw(QuotaError, "more than 2 wanpolicies"); // prettier-ignore
    expect(() => { weight.check(1, 1001); }).to.throw(QuotaError); // prettier-ignore
  });

  it("is not weighed where nothing limits it", () => {
    const weight = new Weight(kinds.Service, undefined);
    expect(weight.of([object("a")])).to.equal(0);
    expect(weight.takes(new Map(), put("a", "x".repeat(10_000)))).to.equal(true);
    weight.check(1e9, 1e12);
  });
});
