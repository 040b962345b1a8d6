/** Takes an HTTP/1.1 connection over to SPDY/3.1, for clients that ask for it instead of a WebSocket: client-go's SPDY executors. */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";

const PROTOCOL_HEADER = "x-stream-protocol-version";

/** Whether the client wants SPDY. */
export function wantsSpdy(request: IncomingMessage): boolean {
  return request.headers.upgrade?.toLowerCase() === "spdy/3.1";
}

/** The first of the protocols that the client offers too; undefined when it offers none of them. */
export function spdyProtocol(request: IncomingMessage, known: readonly string[]): string | undefined {
  const header = request.headers[PROTOCOL_HEADER];
  const offered = (Array.isArray(header) ? header.join(",") : (header ?? "")).split(",").map((name) => name.trim()); // prettier-ignore
  return known.find((name) => offered.includes(name));
}

/** Answers the request; the socket is SPDY's from here. What came right behind the request is read first. */
export function switchToSpdy({ socket, head }: { socket: Duplex; head: Buffer }, protocol: string): void {
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n${PROTOCOL_HEADER}: ${protocol}\r\n\r\n`,
  );
  if (head.length > 0) socket.unshift(head);
}
