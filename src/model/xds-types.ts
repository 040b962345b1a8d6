/**
 * The resource types that Envoys subscribe to over ADS, by their type URLs.
 *
 * Source: Envoy, "xDS REST and gRPC protocol", resource types.
 */

/** Type URLs as they stand in a DiscoveryRequest and in the `Any` around a resource. */
export const xdsType = {
  cluster: "type.googleapis.com/envoy.config.cluster.v3.Cluster",
  clusterLoadAssignment: "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
  listener: "type.googleapis.com/envoy.config.listener.v3.Listener",
  routeConfiguration: "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
  virtualHost: "type.googleapis.com/envoy.config.route.v3.VirtualHost",
  secret: "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
} as const;

/** One of the type URLs in `xdsType`. */
export type XdsTypeUrl = (typeof xdsType)[keyof typeof xdsType];
