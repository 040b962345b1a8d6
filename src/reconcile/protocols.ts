/**
 * Which protocol a Service's port speaks, as far as carrying it over the WAN goes (specification, section 4).
 *
 * Never looks at traffic: what the port says of itself decides, and no word at all means HTTP.
 */

/** How a port is carried: as HTTP requests, as TCP streams, or not at all. */
export type Carriage = "HTTP" | "TCP" | "None";

const httpAppProtocols: ReadonlySet<string> = new Set([
  "http",
  "http2",
  "h2c",
  "grpc",
  "grpc-web",
  "kubernetes.io/h2c",
  "kubernetes.io/ws",
]);
const tcpPrefixes: ReadonlySet<string> = new Set([
  "https",
  "tls",
  "tcp",
  "mysql",
  "mongo",
  "redis",
  "postgres",
]);

/** What a port says of itself. */
export interface PortWords {
  readonly name?: string | undefined;
  readonly protocol?: string | undefined;
  readonly appProtocol?: string | undefined;
}

/** The carriage of a port: by appProtocol, else by the name up to its first `-`, else HTTP. UDP and SCTP: none. */
export function carriageOf(port: PortWords): Carriage {
  if ((port.protocol ?? "TCP") !== "TCP") return "None";
  if (port.appProtocol !== undefined && port.appProtocol !== "") {
    return httpAppProtocols.has(port.appProtocol.toLowerCase()) ? "HTTP" : "TCP";
  }
  const prefix = (port.name ?? "").split("-", 1)[0] ?? "";
  // Any other prefix is either one of HTTP's or says nothing, and nothing means HTTP.
  return tcpPrefixes.has(prefix) ? "TCP" : "HTTP";
}
