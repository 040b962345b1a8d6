/** Protobuf's wire format, as far as responses are put together from parts that are encoded already. */

/** What stands before the bytes of a length-delimited field: tag and length. `field` is at most 15. */
export function fieldHead(field: number, length: number): Uint8Array {
  return Uint8Array.from([(field << 3) | 2, ...varint(length)]);
}

/** A whole length-delimited field: tag, length, bytes. `field` is at most 15. */
export function lengthDelimited(field: number, bytes: Uint8Array): Uint8Array {
  return Buffer.concat([fieldHead(field, bytes.length), bytes]);
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 0x7f) {
    bytes.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  bytes.push(rest);
  return bytes;
}
