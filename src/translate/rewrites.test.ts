import { expect } from "chai";
import { newPath } from "./rewrites.ts";

describe("new paths", () => {
  it("refuses control characters, for which Envoy would refuse the whole route table", () => {
    const full = newPath({ type: "ReplaceFullPath", replaceFullPath: "/x\ny" }, "/");
    const prefix = newPath({ type: "ReplacePrefixMatch", replacePrefixMatch: "/x\u0000" }, "/a");
    expect(full).to.have.property("reason");
    expect(prefix).to.have.property("reason");
    expect(newPath({ type: "ReplaceFullPath", replaceFullPath: "/x" }, "/")).to.deep.equal({
      form: "Full",
      path: "/x",
    });
  });
});
