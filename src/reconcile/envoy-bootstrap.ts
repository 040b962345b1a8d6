/**
 * The bootstrap of every Envoy of mc-wan: where its configuration comes from (delta ADS), its admin interface on the
 * loopback, and a listener for readiness. A plain object, given to Envoy as `--config-yaml`; who the node is comes from
 * its arguments.
 *
 * Source: Envoy v3 API, config.bootstrap.v3.Bootstrap.
 */
import { adminPort, readyPort } from "../model/container-ports.ts";
import { controllerServerName, doorFolder } from "../model/names.ts";
import type { Settings } from "../model/world.ts";

const type = (name: string): { "@type": string } => ({ "@type": `type.googleapis.com/${name}` });
const socket = (address: string, port: number): object => ({ socket_address: { address, port_value: port } });
const ads = { ads: {}, resource_api_version: "V3", initial_fetch_timeout: "0s" };

/** The bootstrap of an Envoy that asks the controller at `xdsAddress`. */
export function envoyBootstrap(xdsAddress: Settings["xdsAddress"]): object {
  return {
    admin: { address: socket("127.0.0.1", adminPort) },
    dynamic_resources: {
      ads_config: {
        api_type: "DELTA_GRPC",
        transport_api_version: "V3",
        set_node_on_first_message_only: true,
        grpc_services: [{ envoy_grpc: { cluster_name: "xds" } }],
      },
      // An Envoy without its first configuration is not ready: better none than one that answers 404.
      lds_config: ads,
      cds_config: ads,
    },
    layered_runtime: {
      layers: [
        {
          name: "static",
          static_layer: {
            // Endpoints that are known need not be fetched again when only their cluster changed.
            "envoy.restart_features.use_eds_cache_for_ads": true,
            // Expressions are judged before (model/re2.ts): at 100, its default, one tenant's expression would make Envoy
            // refuse the table of all.
            "re2.max_program_size.error_level": 4_294_967_295,
            "re2.max_program_size.warn_level": 4_294_967_295,
          },
        },
      ],
    },
    static_resources: {
      listeners: [readyListener],
      clusters: [xdsCluster(xdsAddress, { folder: doorFolder, discovery: "STRICT_DNS" }), adminCluster],
    },
  };
}

/** Answers /ready with the admin interface's word (503 while draining or not initialised), and nothing else. */
const readyListener = {
  name: "ready",
  address: socket("0.0.0.0", readyPort),
  filter_chains: [
    {
      filters: [
        {
          name: "envoy.filters.network.http_connection_manager",
          typed_config: {
            ...type("envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"),
            stat_prefix: "ready",
            route_config: {
              name: "ready",
              virtual_hosts: [
                {
                  name: "ready",
                  domains: ["*"],
                  routes: [
                    {
                      match: {
                        path: "/ready",
                        headers: [{ name: ":method", string_match: { exact: "GET" } }],
                      },
                      route: { cluster: "admin", timeout: "1s" },
                    },
                  ],
                },
              ],
            },
            http_filters: [
              {
                name: "envoy.filters.http.router",
                typed_config: type("envoy.extensions.filters.http.router.v3.Router"),
              },
            ],
          },
        },
      ],
    },
  ],
};

const adminCluster = {
  name: "admin",
  type: "STATIC",
  connect_timeout: "1s",
  load_assignment: {
    cluster_name: "admin",
    endpoints: [{ lb_endpoints: [{ endpoint: { address: socket("127.0.0.1", adminPort) } }] }],
  },
};

/**
 * The cluster of the controller: TLS 1.3, by the authorities and with the token that are in a folder. The authorities are the
 * Pod's, for its life; the token is replaced by the kubelet, and named by a file of its own ({@link doorFiles}), for Envoy
 * follows a changed file only so. Whatever is followed takes an instance of inotify, of which a user has 128 on a node by
 * default: Envoy dies (SIGSEGV) where there is none left.
 */
export function xdsCluster(
  { host, port }: Settings["xdsAddress"],
  { folder, discovery }: { readonly folder: string; readonly discovery: "STRICT_DNS" | "STATIC" },
): object {
  const tokenSource = {
    path_config_source: { path: `${folder}/token.json`, watched_directory: { path: folder } },
    resource_api_version: "V3",
  };
  return {
    name: "xds",
    type: discovery,
    connect_timeout: "1s",
    dns_lookup_family: "V4_ONLY",
    load_assignment: {
      cluster_name: "xds",
      endpoints: [{ lb_endpoints: [{ endpoint: { address: socket(host, port) } }] }],
    },
    transport_socket: {
      name: "envoy.transport_sockets.tls",
      typed_config: {
        ...type("envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"),
        sni: controllerServerName,
        common_tls_context: {
          tls_params: { tls_minimum_protocol_version: "TLSv1_3", tls_maximum_protocol_version: "TLSv1_3" },
          validation_context: {
            trusted_ca: { filename: `${folder}/ca.crt` },
            match_typed_subject_alt_names: [{ san_type: "DNS", matcher: { exact: controllerServerName } }],
          },
        },
      },
    },
    typed_extension_protocol_options: {
      "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        ...type("envoy.extensions.upstreams.http.v3.HttpProtocolOptions"),
        explicit_http_config: {
          // A controller that is gone without a word is noticed within seconds.
          http2_protocol_options: { connection_keepalive: { interval: "10s", timeout: "5s" } },
        },
        http_filters: [
          {
            name: "envoy.filters.http.credential_injector",
            typed_config: {
              ...type("envoy.extensions.filters.http.credential_injector.v3.CredentialInjector"),
              overwrite: true,
              credential: {
                name: "envoy.http.injected_credentials.generic",
                typed_config: {
                  ...type("envoy.extensions.http.injected_credentials.generic.v3.Generic"),
                  header: "authorization",
                  header_value_prefix: "Bearer ",
                  credential: { name: "token", sds_config: tokenSource },
                },
              },
            },
          },
          {
            name: "envoy.filters.http.upstream_codec",
            typed_config: type("envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec"),
          },
        ],
      },
    },
  };
}

/** The files beside the token: the authorities, and what leads Envoy to the token. */
export function doorFiles(folder: string, bundle: string): Readonly<Record<string, string>> {
  const secret = { filename: `${folder}/token`, watched_directory: { path: folder } };
  const token = {
    ...type("envoy.extensions.transport_sockets.tls.v3.Secret"),
    name: "token",
    generic_secret: { secret },
  };
  return { "ca.crt": bundle, "token.json": JSON.stringify({ resources: [token] }) };
}
