import { expect } from "chai";
import { isOlder } from "./resource-version.ts";

describe("isOlder", () => {
  const cases: readonly (readonly [string | undefined, string | undefined, boolean])[] = [
    ["9", "10", true],
    ["10", "9", false],
    ["10", "10", false],
    ["9007199254740992", "9007199254740993", true],
    [undefined, "10", false],
    ["10", undefined, false],
    ["a", "10", false],
    ["10", "b", false],
    ["-1", "10", false],
    ["", "10", false],
  ];
  for (const [version, other, older] of cases) {
    it(`says ${String(older)} of ${version ?? "none"} and ${other ?? "none"}`, () => {
      expect(isOlder(version, other)).to.equal(older);
    });
  }
});
