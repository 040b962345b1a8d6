import { expect } from "chai";
import { grantsOf, unusedGrants, usesOf } from "./audit.ts";
import type { RbacRole } from "./audit.ts";

const event = (
  verb: string,
  objectRef: object,
  answer: { code?: number; decision?: string } = {},
): string => {
  const { code = 200, decision = "allow" } = answer;
  const annotations = { "authorization.k8s.io/decision": decision };
  const user = { username: "u" };
  return `${JSON.stringify({ stage: "ResponseComplete", verb, user, objectRef, responseStatus: { code }, annotations })}\n`;
};
const role = (rule: NonNullable<RbacRole["rules"]>[number], namespace?: string): RbacRole => ({
  metadata: { name: "r", ...(namespace !== undefined && { namespace }) },
  rules: [rule],
});
const unused = (roles: readonly RbacRole[], log: string): string[] =>
  unusedGrants(grantsOf(roles), usesOf(log)).map(({ verb, resource }) => `${verb} ${resource}`);

describe("an audit log against roles", () => {
  it("leaves over what no request needed, by verb, group and subresource", () => {
    const roles = [role({ apiGroups: ["g"], resources: ["as", "as/status"], verbs: ["list", "patch"] })];
    const log =
      event("list", { resource: "as", apiGroup: "g" }) +
      event("patch", { resource: "as", apiGroup: "other" });
    expect(unused(roles, log)).to.deep.equal(["patch as", "list as/status", "patch as/status"]);
  });

  it("counts a patch that made its object as a creation too, and a refused request as none", () => {
    const roles = [role({ apiGroups: [""], resources: ["as"], verbs: ["create", "patch", "delete"] })];
    const log =
      event("patch", { resource: "as" }, { code: 201 }) +
      event("delete", { resource: "as" }, { code: 403, decision: "forbid" });
    expect(unused(roles, log)).to.deep.equal(["delete as"]);
  });

  it("wants a Role used in its own namespace", () => {
    const roles = [role({ apiGroups: [""], resources: ["secrets"], verbs: ["list"] }, "mc-wan-system")];
    const elsewhere = event("list", { resource: "secrets", namespace: "default" });
    expect(unused(roles, elsewhere)).to.deep.equal(["list secrets"]);
    expect(
      unused(roles, elsewhere + event("list", { resource: "secrets", namespace: "mc-wan-system" })),
    ).to.deep.equal([]);
  });

  it("leaves out a line that is still being written", () => {
    expect(usesOf(`${event("get", { resource: "as" })}{"verb":`)).to.have.length(1);
  });
});
