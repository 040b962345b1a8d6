/**
 * SPDY/3.1 frames, as far as `kubectl exec` and `port-forward` use them. PURE: bytes in, frames out, and back. Header blocks stay compressed
 * here (see `spdy-headers.ts`). Source: draft-mbelshe-httpbis-spdy-00, section 2.
 */

/** A frame that came in. */
export type SpdyFrame =
  | { readonly kind: "syn-stream"; readonly stream: number; readonly fin: boolean; readonly headers: Buffer }
  | { readonly kind: "headers"; readonly stream: number; readonly fin: boolean; readonly headers: Buffer }
  | { readonly kind: "data"; readonly stream: number; readonly fin: boolean; readonly data: Buffer }
  | { readonly kind: "reset"; readonly stream: number }
  | { readonly kind: "ping"; readonly id: number }
  | { readonly kind: "go-away" }
  | { readonly kind: "other" };

const TYPE = { synStream: 1, synReply: 2, reset: 3, ping: 6, goAway: 7, headers: 8 } as const;
const FIN = 1;
const HEAD = 8;
const LONGEST_DATA = 0xffffff;

/** Splits what has come so far into whole frames and a rest. */
export function splitFrames(bytes: Buffer): { frames: SpdyFrame[]; rest: Buffer } {
  const frames: SpdyFrame[] = [];
  let at = 0;
  while (bytes.length - at >= HEAD) {
    const length = bytes.readUIntBE(at + 5, 3);
    if (bytes.length - at < HEAD + length) break;
    frames.push(parseFrame(bytes.subarray(at, at + HEAD + length)));
    at += HEAD + length;
  }
  return { frames, rest: bytes.subarray(at) };
}

function parseFrame(frame: Buffer): SpdyFrame {
  const word = frame.readUInt32BE(0);
  const fin = (frame.readUInt8(4) & FIN) !== 0;
  const body = frame.subarray(HEAD);
  if (word < 0x80000000) return { kind: "data", stream: word, fin, data: body };
  if (body.length < 4) return { kind: "other" };
  const first = body.readUInt32BE(0);
  switch (word & 0xffff) {
    case TYPE.synStream:
      // After the stream's id: the associated stream, the priority, the slot.
      return { kind: "syn-stream", stream: first & 0x7fffffff, fin, headers: body.subarray(10) };
    case TYPE.headers:
      return { kind: "headers", stream: first & 0x7fffffff, fin, headers: body.subarray(4) };
    case TYPE.reset:
      return { kind: "reset", stream: first & 0x7fffffff };
    case TYPE.ping:
      return { kind: "ping", id: first };
    case TYPE.goAway:
      return { kind: "go-away" };
    default:
      return { kind: "other" };
  }
}

function controlFrame(type: number, flags: number, body: Buffer): Buffer {
  const head = Buffer.alloc(HEAD);
  head.writeUInt16BE(0x8003, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt8(flags, 4);
  head.writeUIntBE(body.length, 5, 3);
  return Buffer.concat([head, body]);
}

function word32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Opens a stream, as clients do; `headers` is a compressed block. */
export function synStreamFrame(stream: number, headers: Buffer): Buffer {
  // No associated stream, priority 0.
  return controlFrame(TYPE.synStream, 0, Buffer.concat([word32(stream), Buffer.alloc(6), headers]));
}

/** The answer to a SYN_STREAM; `headers` is a compressed block. */
export function synReplyFrame(stream: number, headers: Buffer): Buffer {
  return controlFrame(TYPE.synReply, 0, Buffer.concat([word32(stream), headers]));
}

/** The answer to a PING. */
export function pingFrame(id: number): Buffer {
  return controlFrame(TYPE.ping, 0, word32(id));
}

/** Refuses or ends a stream; 5 is CANCEL. */
export function resetFrame(stream: number): Buffer {
  return controlFrame(TYPE.reset, 0, Buffer.concat([word32(stream), word32(5)]));
}

/** Data on a stream, with FIN for its last. Throws RangeError above 16 MiB. */
export function dataFrame(stream: number, data: Buffer, fin: boolean): Buffer {
  if (data.length > LONGEST_DATA) throw new RangeError("too much data for one frame");
  const head = Buffer.alloc(HEAD);
  head.writeUInt32BE(stream, 0);
  head.writeUInt8(fin ? FIN : 0, 4);
  head.writeUIntBE(data.length, 5, 3);
  return Buffer.concat([head, data]);
}
