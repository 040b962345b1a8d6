import { expect } from "chai";
import fc from "fast-check";
import { dataFrame, pingFrame, resetFrame, splitFrames, synReplyFrame } from "./spdy-frames.ts";
import { headerBlock, parseHeaderBlock, SPDY_DICTIONARY, SpdyHeaderCodec } from "./spdy-headers.ts";

describe("SPDY frames", () => {
  it("come out whole, however the bytes are cut", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(fc.integer({ min: 1, max: 0x7fffffff }), fc.uint8Array({ maxLength: 300 }), fc.boolean()),
        ),
        fc.integer({ min: 1, max: 64 }),
        (sent, step) => {
          const bytes = Buffer.concat(
            sent.map(([stream, data, fin]) => dataFrame(stream, Buffer.from(data), fin)),
          );
          const got: unknown[] = [];
          let rest: Buffer = Buffer.alloc(0);
          for (let at = 0; at < bytes.length; at += step) {
            const split = splitFrames(Buffer.concat([rest, bytes.subarray(at, at + step)]));
            rest = split.rest;
            got.push(
              ...split.frames.map((frame) =>
                frame.kind === "data" ? [frame.stream, [...frame.data], frame.fin] : frame.kind,
              ),
            );
          }
          expect(rest.length).to.equal(0);
          expect(got).to.deep.equal(sent.map(([stream, data, fin]) => [stream, [...data], fin]));
        },
      ),
    );
  });

  it("are recognised by their type", () => {
    const bytes = Buffer.concat([pingFrame(7), resetFrame(3), synReplyFrame(5, Buffer.from("x"))]);
    expect(splitFrames(bytes).frames).to.deep.equal([
      { kind: "ping", id: 7 },
      { kind: "reset", stream: 3 },
      { kind: "other" },
    ]);
  });
});

describe("SPDY header blocks", () => {
  it("begin with the protocol's dictionary", () => {
    expect(SPDY_DICTIONARY.length).to.equal(1423);
  });

  it("survive compression over several blocks of one connection", async () => {
    const codec = new SpdyHeaderCodec();
    try {
      for (const headers of [
        { streamtype: "error", port: "80" },
        { streamtype: "data", port: "80", requestid: "0" },
        {},
      ]) {
        expect(await codec.decode(await codec.encode(headers))).to.deep.equal(headers);
      }
    } finally {
      codec.close();
    }
  });

  it("are refused when they are cut short", () => {
    const block = headerBlock({ port: "80" });
    expect(() => parseHeaderBlock(block.subarray(0, 9))).to.throw(RangeError);
  });
});
