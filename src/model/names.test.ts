import { expect } from "chai";
import fc from "fast-check";
import { derivedLabel, derivedName } from "./names.ts";

const label = /^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/;
const part = fc.stringMatching(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/);
const subdomain = fc
  .array(part, { minLength: 1, maxLength: 4 })
  .map((parts) => parts.join("."))
  .filter((name) => name.length <= 253);

describe("a derived name that is a Service's", () => {
  it("is a DNS label that begins with a letter, of whatever name it is derived", () => {
    fc.assert(fc.property(subdomain, (name) => label.test(derivedLabel(name, "mc-wan"))));
  });

  it("is the plain derived name where that is one already", () => {
    fc.assert(
      fc.property(part, (name) => {
        fc.pre(/^[a-z]/.test(name));
        expect(derivedLabel(name, "mc-wan")).to.equal(derivedName(name, "mc-wan"));
      }),
    );
  });

  it("tells apart names that differ only in what a Service's may not hold", () => {
    const names = ["a.b", "a-b", "1a.b", "gw-1a.b", "gw-1a-b", "a..b"];
    expect(new Set(names.map((name) => derivedLabel(name, "mc-wan"))).size).to.equal(names.length);
    expect(derivedLabel("a-b", "mc-wan")).to.equal("a-b-mc-wan");
  });
});
