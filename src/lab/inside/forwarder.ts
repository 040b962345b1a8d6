/**
 * The way from the host to the API servers: listening sockets that were opened on the host's 127.0.0.1 and inherited through `unshare`,
 * joined byte by byte to the API servers in here. Never looks into TLS.
 *
 *     host 127.0.0.1:<port> ── inherited descriptor ── 198.18.N.1:6443
 */
import { connect, createServer, type Socket } from "node:net";
import { API_SERVER_PORT } from "../sdwan/ruleset.ts";

/** Forwards every connection of a listening descriptor to an API server, for as long as this process lives. */
export function forward(descriptor: number, apiServer: string): void {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const upstream = connect({ host: apiServer, port: API_SERVER_PORT, allowHalfOpen: true, noDelay: true });
    join(client, upstream);
    join(upstream, client);
  });
  server.listen({ fd: descriptor });
}

/** One direction. An error or an end of one side ends the other; the error itself is the client's to see as a closed connection. */
function join(from: Socket, to: Socket): void {
  from.pipe(to);
  from.on("error", () => to.destroy());
  from.on("close", () => to.destroy());
}
