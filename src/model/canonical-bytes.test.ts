import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { expect } from "chai";
import fc from "fast-check";
import { LocalityLbEndpointsSchema } from "../envoy/envoy/config/endpoint/v3/endpoint_components_pb.ts";
import { MetadataSchema } from "../envoy/envoy/config/core/v3/base_pb.ts";
import { VirtualHostSchema } from "../envoy/envoy/config/route/v3/route_components_pb.ts";
import { canonicalBytes } from "./canonical-bytes.ts";

const any = (byte: number) => ({ typeUrl: `type.googleapis.com/x${byte}`, value: Uint8Array.of(byte) });

describe("canonicalBytes", () => {
  it("does not depend on the order in which map entries were set, at any depth", () => {
    const route = (keys: readonly string[]) => ({
      name: "r",
      typedPerFilterConfig: Object.fromEntries(keys.map((key) => [key, any(key.length)])),
    });
    const host = (keys: readonly string[]) =>
      create(VirtualHostSchema, { name: "v", routes: [route(keys), route(["z"])] });
    expect(toBinary(VirtualHostSchema, host(["b", "aa", "10", "9"]))).not.to.deep.equal(
      toBinary(VirtualHostSchema, host(["aa", "b", "10", "9"])),
    );
    expect(canonicalBytes(VirtualHostSchema, host(["b", "aa", "10", "9"]))).to.deep.equal(
      canonicalBytes(VirtualHostSchema, host(["9", "10", "aa", "b"])),
    );
  });

  it("does not depend on the order of a Struct's fields", () => {
    const one = create(MetadataSchema, {
      filterMetadata: { "envoy.lb": { b: { y: 1, x: [{ d: 1, c: null }] }, a: true }, k: {} },
    });
    const two = create(MetadataSchema, {
      filterMetadata: { k: {}, "envoy.lb": { a: true, b: { x: [{ c: null, d: 1 }], y: 1 } } },
    });
    expect(canonicalBytes(MetadataSchema, one)).to.deep.equal(canonicalBytes(MetadataSchema, two));
  });

  it("gives what protobuf-es gives where there is no order to change, wrappers, oneofs and bytes included", () => {
    const message = create(LocalityLbEndpointsSchema, {
      locality: { region: "r", zone: "z" },
      loadBalancingWeight: 3,
      lbEndpoints: [{ hostIdentifier: { case: "endpointName", value: "e" }, loadBalancingWeight: 0 }],
    });
    expect(canonicalBytes(LocalityLbEndpointsSchema, message)).to.deep.equal(
      toBinary(LocalityLbEndpointsSchema, message),
    );
  });

  it("keeps the meaning and leaves its input as it was, for any Struct", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (fields) => {
        // JSON has no -0, and protobuf no __proto__ among the keys of a plain object.
        const struct = JSON.parse(JSON.stringify(fields)) as Record<string, never>;
        fc.pre(!JSON.stringify(struct).includes("__proto__"));
        const message = create(MetadataSchema, { filterMetadata: { m: struct } });
        const before = JSON.stringify(message);
        const plain = fromBinary(MetadataSchema, toBinary(MetadataSchema, message));
        expect(fromBinary(MetadataSchema, canonicalBytes(MetadataSchema, message))).to.deep.equal(plain);
        expect(JSON.stringify(message)).to.equal(before);
      }),
      { numRuns: 30 },
    );
  });
});
