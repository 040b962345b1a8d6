/**
 * Puts a message into a google.protobuf.Any: how Envoy's configuration names an extension and its settings.
 * The same message gives the same bytes, whatever the order of its map entries.
 */
import { create } from "@bufbuild/protobuf";
import type { DescMessage, MessageInitShape } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import type { Any } from "@bufbuild/protobuf/wkt";
import { canonicalBytes } from "../model/canonical-bytes.ts";

/** An Any that holds the message (or one made from the given fields), with type URL `type.googleapis.com/<full name>`. */
export function pack<Desc extends DescMessage>(schema: Desc, message: MessageInitShape<Desc>): Any {
  const value = canonicalBytes(schema, create(schema, message));
  return create(AnySchema, { typeUrl: `type.googleapis.com/${schema.typeName}`, value });
}
