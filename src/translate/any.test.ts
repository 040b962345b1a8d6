import { create } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { expect } from "chai";
import { RBACPerRouteSchema, RBACSchema } from "../envoy/envoy/extensions/filters/http/rbac/v3/rbac_pb.ts";
import { RouterSchema } from "../envoy/envoy/extensions/filters/http/router/v3/router_pb.ts";
import { pack } from "./any.ts";

describe("pack", () => {
  it("names the type and holds the message", () => {
    const any = pack(RouterSchema, { suppressEnvoyHeaders: true });
    expect(any.typeUrl).to.equal("type.googleapis.com/envoy.extensions.filters.http.router.v3.Router");
    expect(anyUnpack(any, RouterSchema)).to.deep.equal(create(RouterSchema, { suppressEnvoyHeaders: true }));
  });

  it("takes a whole message too, and gives the same bytes", () => {
    const fields = { suppressEnvoyHeaders: true };
    expect(pack(RouterSchema, create(RouterSchema, fields))).to.deep.equal(pack(RouterSchema, fields));
  });

  it("gives the same bytes for the same policies in another order", () => {
    const permissions = [{ rule: { case: "any", value: true } as const }];
    const principals = [{ identifier: { case: "any", value: true } as const }];
    const policy = { permissions, principals };
    const one = create(RBACSchema, { rules: { policies: { a: policy, b: policy, c: policy } } });
    const two = create(RBACSchema, { rules: { policies: { c: policy, a: policy, b: policy } } });
    expect(pack(RBACPerRouteSchema, { rbac: one }).value).to.deep.equal(
      pack(RBACPerRouteSchema, { rbac: two }).value,
    );
  });
});
