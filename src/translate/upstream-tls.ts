/**
 * TLS towards a backend.
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
