/**
 * How a TCP connection tells a peer's gateway which port of which service it is for: by a header of PROXY protocol 2 before
 * its first byte, with a field (TLV) of our own. Everything behind it is the connection's as it is, both ends' FIN included.
 *
 *     egress   connection → cluster over a policy, whose transport socket writes the header
 *     ingress  policy's port → header with our field? → cluster `stream/<field>`, which is there for exported ports only
 *                            → anything else           → HTTP
 *
 * Never lets a connection choose any other cluster: the field is a part of a name, and no other name begins like it.
 *
 * Source: PROXY protocol 2.2; Envoy, extensions.filters.listener.proxy_protocol.v3, extensions.transport_sockets.proxy_protocol.v3.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { StringValueSchema } from "@bufbuild/protobuf/wkt";
import type { TransportSocketSchema } from "../envoy/envoy/config/core/v3/base_pb.ts";
import { ProxyProtocolConfig_Version } from "../envoy/envoy/config/core/v3/proxy_protocol_pb.ts";
import type {
  FilterSchema,
  ListenerFilterSchema,
} from "../envoy/envoy/config/listener/v3/listener_components_pb.ts";
import {
  ProxyProtocol_TlvLocation,
  ProxyProtocolSchema,
} from "../envoy/envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol_pb.ts";
import { ConfigSchema as SetFilterStateSchema } from "../envoy/envoy/extensions/filters/network/set_filter_state/v3/set_filter_state_pb.ts";
import { FilterStateInputSchema } from "../envoy/envoy/extensions/matching/common_inputs/network/v3/network_inputs_pb.ts";
import { ProxyProtocolUpstreamTransportSchema } from "../envoy/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol_pb.ts";
import { RawBufferSchema } from "../envoy/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.ts";
import type { MatcherSchema } from "../envoy/xds/type/matcher/v3/matcher_pb.ts";
import type { ServiceRef } from "../model/desired.ts";
import { pack } from "./any.ts";

/** Of those that PROXY protocol leaves to applications (0xE0 to 0xEF). */
const fieldType = 0xe7;
/** Where Envoy keeps fields of the header, and what ours is called there. */
const tlvState = "envoy.network.proxy_protocol.tlv";
const fieldName = "mc-wan.service";
/** Filter state that tcp_proxy takes its cluster from. */
const clusterState = "envoy.tcp_proxy.cluster";
const clusterPrefix = "stream/";

/** A TCP port of a service. */
export interface StreamTarget {
  readonly service: ServiceRef;
  readonly port: number;
}

const fieldOf = ({ service, port }: StreamTarget): string => `${service.namespace}/${service.name}/${port}`;

/** Name of the cluster to which an ingress lets a target's connections through. */
export const streamClusterName = (target: StreamTarget): string => `${clusterPrefix}${fieldOf(target)}`;

type TransportSocketInit = MessageInitShape<typeof TransportSocketSchema>;

const plain: TransportSocketInit = {
  name: "envoy.transport_sockets.raw_buffer",
  configType: { case: "typedConfig", value: pack(RawBufferSchema, {}) },
};

/** The transport socket of a cluster over a policy: the header, then what `inside` makes of the bytes. */
export function prefaced(target: StreamTarget, inside: TransportSocketInit = plain): TransportSocketInit {
  const tlv = { type: fieldType, value: new TextEncoder().encode(fieldOf(target)) };
  const value = pack(ProxyProtocolUpstreamTransportSchema, {
    config: { version: ProxyProtocolConfig_Version.V2, addedTlvs: [tlv] },
    transportSocket: inside,
  });
  return {
    name: "envoy.transport_sockets.upstream_proxy_protocol",
    configType: { case: "typedConfig", value },
  };
}

/** Reads the header where there is one; connections without it are HTTP. */
export const prefaceFilter: MessageInitShape<typeof ListenerFilterSchema> = {
  name: "envoy.filters.listener.proxy_protocol",
  configType: {
    case: "typedConfig",
    value: pack(ProxyProtocolSchema, {
      allowRequestsWithoutProxyProtocol: true,
      disallowedVersions: [ProxyProtocolConfig_Version.V1],
      rules: [{ tlvType: fieldType, onTlvPresent: { key: fieldName } }],
      tlvLocation: ProxyProtocol_TlvLocation.FILTER_STATE,
    }),
  },
};

const chain = (name: string) => ({
  onMatch: {
    case: "action" as const,
    value: { name, typedConfig: pack(StringValueSchema, { value: name }) },
  },
});

const field = {
  name: "envoy.matching.inputs.filter_state",
  typedConfig: pack(FilterStateInputSchema, { key: tlvState, field: fieldName }),
};

/** Chooses the filter chain: of connections with our field, and of all others. */
export function byPreface(names: {
  readonly stream: string;
  readonly other: string;
}): MessageInitShape<typeof MatcherSchema> {
  const isThere = { engineType: { case: "googleRe2" as const, value: {} }, regex: ".+" };
  const matchPattern = { case: "safeRegex" as const, value: isThere };
  const matchType = {
    case: "singlePredicate" as const,
    value: { input: field, matcher: { case: "valueMatch" as const, value: { matchPattern } } },
  };
  const matchers = [{ predicate: { matchType }, onMatch: chain(names.stream) }];
  return { matcherType: { case: "matcherList", value: { matchers } }, onNoMatch: chain(names.other) };
}

/** Before tcp_proxy: says the cluster that the field means. */
export const clusterOfPreface: MessageInitShape<typeof FilterSchema> = {
  name: "envoy.filters.network.set_filter_state",
  configType: {
    case: "typedConfig",
    value: pack(SetFilterStateSchema, {
      onNewConnection: [
        {
          key: { case: "objectKey", value: clusterState },
          value: {
            case: "formatString",
            value: {
              format: {
                case: "textFormatSource",
                // eslint-disable-next-line @typescript-eslint/no-deprecated -- other members of the oneof are, this one is not
                value: {
                  specifier: {
                    case: "inlineString",
                    value: `${clusterPrefix}%FILTER_STATE(${tlvState}:FIELD:${fieldName})%`,
                  },
                },
              },
            },
          },
        },
      ],
    }),
  },
};
