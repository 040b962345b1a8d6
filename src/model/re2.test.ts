import { expect } from "chai";
import { re2Problem } from "./re2.ts";

describe("regular expressions of users", () => {
  it("takes what RE2 takes, an identifier of 64 characters and a UUID included", () => {
    for (const regex of [
      "/[^/]{1,64}",
      "/users/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/(a|b|c)",
      "\\pL+\\p{Lu}\\P{^Greek}",
    ]) {
      expect(re2Problem(regex), regex).to.equal(undefined);
    }
  });

  it("refuses what only other engines take, what is too long and what compiles to too much", () => {
    for (const regex of ["", "/(?=x)", "(a", "a".repeat(1025), "(?:[^/]{1,900}){3}"]) {
      expect(re2Problem(regex), regex.slice(0, 20)).to.be.a("string");
    }
  });

  it("refuses classes that Envoy's RE2 does not know, so that nobody's table is refused for them", () => {
    for (const regex of ["\\p{LC}", "x\\p{Garay}", "\\p{Assigned}|\\p{Cn}", "\\P{^Assigned}"]) {
      expect(re2Problem(regex), regex).to.be.a("string");
    }
  });
});
