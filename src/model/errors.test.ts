import { expect } from "chai";
import { RefusedError, UnavailableError, UsageError } from "./errors.ts";

describe("errors of the outside world", () => {
  it("carry the cause, the status and when to try again", () => {
    const cause = new Error("socket hang up");
    const error = new UnavailableError("no answer", { cause, retryAfterMs: 1000, status: 503 });
    expect(error).to.include({ name: "UnavailableError", cause, retryAfterMs: 1000, status: 503 });
    expect(new RefusedError("invalid", { cause, status: 422 })).to.include({
      name: "RefusedError",
      cause,
      status: 422,
    });
  });

  it("know neither where there was no answer", () => {
    expect(new UnavailableError("no answer")).to.include({ retryAfterMs: undefined, status: undefined });
    expect(new RefusedError("refused").status).to.equal(undefined);
  });

  it("are told from a person's mistake by their name", () => {
    expect(new UsageError("no such flag").name).to.equal("UsageError");
  });
});
