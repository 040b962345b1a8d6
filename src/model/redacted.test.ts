import { inspect } from "node:util";
import { expect } from "chai";
import { Redacted } from "./redacted.ts";

describe("Redacted", () => {
  const token = new Redacted("s3cret");

  it("gives its value to who asks for it", () => {
    expect(token.reveal()).to.equal("s3cret");
  });

  const printed: readonly (readonly [string, () => string])[] = [
    ["JSON", () => JSON.stringify({ token })],
    ["a template string", () => `the token is ${token.toString()}`],
    ["a String", () => String(token)],
    ["Node's inspection", () => inspect({ token }, { depth: 5, showHidden: true })],
    ["the keys and values of the object", () => JSON.stringify(Object.entries(token))],
  ];
  for (const [where, print] of printed) {
    it(`shows nothing in ${where}`, () => {
      expect(print()).not.to.include("s3cret");
    });
  }
});
