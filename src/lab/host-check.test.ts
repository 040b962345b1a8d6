import { expect } from "chai";
import { explain } from "./host-check.ts";

describe("a machine that refuses", () => {
  const nothing = (): undefined => undefined;

  it("is explained by AppArmor's setting, with both ways out", () => {
    const said = explain("unshare: write failed /proc/self/uid_map: Operation not permitted", (name) =>
      name === "kernel.apparmor_restrict_unprivileged_userns" ? "1" : undefined,
    );
    expect(said)
      .to.contain("sysctl kernel.apparmor_restrict_unprivileged_userns=0")
      .and.to.contain("userns,");
  });

  it("is explained by a limit of zero", () => {
    const said = explain("unshare: unshare failed: No space left on device", (name) =>
      name === "user.max_user_namespaces" ? "0" : "100",
    );
    expect(said).to.contain("sysctl user.max_user_namespaces=15000");
  });

  it("is explained by a masked /proc", () => {
    expect(explain("mount: /proc: permission denied.", nothing)).to.contain("outside of it");
  });

  it("gets one line, always", () => {
    expect(explain("one\ntwo\nthree", nothing)).not.to.contain("\n");
  });
});
