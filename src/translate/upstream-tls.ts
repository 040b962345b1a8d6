/**
 * TLS towards a backend, and towards the gateways of other clusters.
 *
 * Source: Envoy, extensions.transport_sockets.tls.v3.UpstreamTlsContext.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { TransportSocketSchema } from "../envoy/envoy/config/core/v3/base_pb.ts";
import type { ConfigSource } from "../envoy/envoy/config/core/v3/config_source_pb.ts";
import { TlsParameters_TlsProtocol } from "../envoy/envoy/extensions/transport_sockets/tls/v3/common_pb.ts";
import { UpstreamTlsContextSchema } from "../envoy/envoy/extensions/transport_sockets/tls/v3/tls_pb.ts";
import { pack } from "./any.ts";
import type { BackendTls } from "./backend-tls.ts";
import type { MutualTls } from "./backends.ts";
import type { Material } from "./certificates.ts";

/** The transport socket; `certificate` names the secret that is shown to the backend, if it asks. */
export function upstreamTls(
  { serverName, authorities }: BackendTls,
  {
    isHttp2,
    certificate,
    source,
  }: { isHttp2: boolean; certificate?: string | undefined; source: ConfigSource },
): MessageInitShape<typeof TransportSocketSchema> {
  const context: MessageInitShape<typeof UpstreamTlsContextSchema> = {
    sni: serverName,
    commonTlsContext: {
      // By itself Envoy asks backends for TLS 1.2 and nothing newer, which some refuse.
      tlsParams: {
        tlsMinimumProtocolVersion: TlsParameters_TlsProtocol.TLSv1_2,
        tlsMaximumProtocolVersion: TlsParameters_TlsProtocol.TLSv1_3,
      },
      ...(certificate !== undefined && {
        tlsCertificateSdsSecretConfigs: [{ name: certificate, sdsConfig: source }],
      }),
      // The names to be checked stand beside the authorities: Envoy takes neither without the other.
      validationContextType: {
        case: "validationContextSdsSecretConfig",
        // eslint-disable-next-line @typescript-eslint/no-deprecated -- other members of the oneof are, this one is not
        value: { name: authorities.name, sdsConfig: source },
      },
      alpnProtocols: isHttp2 ? ["h2"] : [],
    },
  };
  const value = pack(UpstreamTlsContextSchema, context);
  return { name: "envoy.transport_sockets.tls", configType: { case: "typedConfig", value } };
}

/** What a fleet needs to be let in by other clusters' gateways. */
export interface GatewayPass {
  /** What it shows. */
  readonly identity: Material;
  /** By what it checks. */
  readonly authorities: Material;
}

/**
 * The transport socket towards other clusters' ingress gateways. No session is ever resumed: what was trusted once is
 * checked again on every connection, and no two policies have one in common.
 */
export function mutualTls(
  { serverName }: MutualTls,
  { identity, authorities }: GatewayPass,
  { source, isStream }: { readonly source: ConfigSource; readonly isStream: boolean },
): MessageInitShape<typeof TransportSocketSchema> {
  const context: MessageInitShape<typeof UpstreamTlsContextSchema> = {
    sni: serverName,
    maxSessionKeys: 0,
    commonTlsContext: {
      tlsParams: {
        tlsMinimumProtocolVersion: TlsParameters_TlsProtocol.TLSv1_3,
        tlsMaximumProtocolVersion: TlsParameters_TlsProtocol.TLSv1_3,
      },
      tlsCertificateSdsSecretConfigs: [{ name: identity.name, sdsConfig: source }],
      validationContextType: {
        case: "validationContextSdsSecretConfig",
        // eslint-disable-next-line @typescript-eslint/no-deprecated -- other members of the oneof are, this one is not
        value: { name: authorities.name, sdsConfig: source },
      },
      alpnProtocols: isStream ? [] : ["h2"],
    },
  };
  const value = pack(UpstreamTlsContextSchema, context);
  return { name: "envoy.transport_sockets.tls", configType: { case: "typedConfig", value } };
}
