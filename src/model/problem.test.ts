import { expect } from "chai";
import { messageOf } from "./problem.ts";

describe("messages of problems", () => {
  it("tells all of them, up to what a condition can hold", () => {
    expect(
      messageOf([
        { reason: "A", message: "One." },
        { reason: "B", message: "Two." },
      ]),
    ).to.equal("One. Two.");
    const many = messageOf(Array.from({ length: 300 }, () => ({ reason: "A", message: "x".repeat(300) })));
    expect(many.length).to.be.below(32_768);
    expect(many).to.include("(300 problems)");
  });
});
