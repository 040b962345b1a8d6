/** Serialisers for gRPC methods whose messages are encoded and decoded by us: bytes in, bytes out. */

const same = (bytes: Buffer): Buffer => bytes;

/** To be spread into a method's definition. */
export const rawBytes = {
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
} as const;
