/** What a Service's port says that it speaks, as both pure stages read it. */

/** Whether a port says that it speaks HTTP/2 without TLS: appProtocol, else the prefix of its name. */
export function speaksHttp2(port: {
  readonly name?: string | undefined;
  readonly appProtocol?: string | undefined;
}): boolean {
  const protocols = ["kubernetes.io/h2c", "h2c", "http2", "grpc"];
  return protocols.includes(port.appProtocol ?? port.name?.split("-")[0] ?? "");
}
