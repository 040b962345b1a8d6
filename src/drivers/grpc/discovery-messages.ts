/**
 * Delta discovery messages between bytes and what `serve` speaks of. Responses are put together from encoded resources:
 * no message object is made for them.
 */
import { fromBinary } from "@bufbuild/protobuf";
import { DeltaDiscoveryRequestSchema } from "../../envoy/envoy/service/discovery/v3/discovery_pb.ts";
import type { DeltaDiscoveryRequest } from "../../envoy/envoy/service/discovery/v3/discovery_pb.ts";
import { xdsType } from "../../model/xds-types.ts";
import { addOrder } from "../../serve/snapshot.ts";
import type { StreamRequest, StreamResponse } from "../../serve/stream-state.ts";
import { fieldHead, lengthDelimited } from "../../serve/wire.ts";

/** A request, or undefined where the bytes are none. */
export function decodeRequest(bytes: Uint8Array): DeltaDiscoveryRequest | undefined {
  try {
    return fromBinary(DeltaDiscoveryRequestSchema, bytes);
  } catch {
    return undefined;
  }
}

/** The request as a stream takes it; undefined for a type that mc-wan doesn't serve. */
export function streamRequestOf(message: DeltaDiscoveryRequest): StreamRequest | undefined {
  const type = addOrder.find((known) => known === message.typeUrl);
  if (type === undefined) return undefined;
  return {
    type,
    subscribe: message.resourceNamesSubscribe,
    unsubscribe: message.resourceNamesUnsubscribe,
    initialVersions: new Map(Object.entries(message.initialResourceVersions)),
    nonce: message.responseNonce,
    // A NACK is told by the presence of the detail, whatever is in it (X5).
    ...(message.errorDetail === undefined
      ? {}
      : {
          error:
            type === xdsType.secret ? unquoted(message.errorDetail.message) : message.errorDetail.message,
        }),
  };
}

/** What an Envoy says of a secret, up to where it may begin to quote it. */
function unquoted(reason: string): string {
  const [told = ""] = reason.split(/-----|inline_|["{\n]/, 1);
  return told.trim();
}

/** The bytes of a DeltaDiscoveryResponse: resources = 2, type_url = 4, nonce = 5, removed_resources = 6. */
export function encodeResponse(response: StreamResponse): Buffer {
  return Buffer.concat([
    ...response.resources.flatMap(({ bytes }) => [fieldHead(2, bytes.length), bytes]),
    lengthDelimited(4, Buffer.from(response.type)),
    lengthDelimited(5, Buffer.from(response.nonce)),
    ...response.removed.map((name) => lengthDelimited(6, Buffer.from(name))),
  ]);
}
