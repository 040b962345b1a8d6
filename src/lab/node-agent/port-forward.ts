/**
 * `kubectl port-forward`: SPDY/3.1, inside of a WebSocket or by itself; for each connection of the client an error stream and a data
 * stream, and a TCP connection to the Pod.
 *
 *     kubectl ── WebSocket ── kube-apiserver ── WebSocket(SPDY frames) ── here ── TCP ── Pod
 */
import { spawn } from "node:child_process";
import type { IncomingMessage } from "node:http";
import { connect } from "node:net";
import { Duplex } from "node:stream";
import { createWebSocketStream, WebSocketServer, type WebSocket } from "ws";
import { SpdyConnection, type SpdyStream } from "./spdy-connection.ts";
import type { SpdyHeaders } from "./spdy-headers.ts";
import { switchToSpdy } from "./spdy-upgrade.ts";

/** The protocol inside of SPDY. */
export const PORT_FORWARD_PROTOCOL = "portforward.k8s.io";
/** The WebSocket subprotocol. */
export const PORT_FORWARD_WEB_SOCKET = `SPDY/3.1+${PORT_FORWARD_PROTOCOL}`;

/** Where a Pod's ports are. */
export interface ForwardTarget {
  /** The Pod's network namespace; undefined for hostNetwork. */
  readonly netnsPath: string | undefined;
}

/** A request that asked for an upgrade, and its connection. */
interface Upgrade {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
}

// ws refuses the protocol's name, in which "/" is no token: it never gets to see it.
const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });
sockets.on("headers", (headers) => headers.push(`Sec-WebSocket-Protocol: ${PORT_FORWARD_WEB_SOCKET}`));

/** Takes over a client's WebSocket. */
export function acceptPortForward(at: Upgrade, target: ForwardTarget): void {
  delete at.request.headers["sec-websocket-protocol"];
  sockets.handleUpgrade(at.request, at.socket, at.head, (socket: WebSocket) => {
    forwardOver(createWebSocketStream(socket), target);
  });
}

/** Takes over a client's connection that speaks SPDY itself. */
export function acceptSpdyPortForward(at: Upgrade, target: ForwardTarget): void {
  switchToSpdy(at, PORT_FORWARD_PROTOCOL);
  forwardOver(at.socket, target);
}

function forwardOver(transport: Duplex, target: ForwardTarget): void {
  /** Streams on which a connection's failure is told, by request. */
  const errors = new Map<string, SpdyStream>();
  new SpdyConnection(transport, (stream: SpdyStream, headers: SpdyHeaders) => {
    const port = Number(headers["port"]);
    const request = headers["requestid"] ?? headers["port"] ?? "";
    if (!Number.isInteger(port) || port < 1 || port > 65535) return false;
    if (headers["streamtype"] === "error") {
      errors.set(request, stream);
      stream.resume();
    } else
      carry(stream, dialPod(target, port), (cause) => {
        const message = cause === undefined ? "" : `error forwarding port ${port} to the pod: ${cause.message}`; // prettier-ignore
        errors.get(request)?.end(message);
        errors.delete(request);
      });
    return true;
  });
}

/** Carries bytes both ways until both ends have ended; tells how the Pod's end did. */
function carry(stream: SpdyStream, connection: Duplex, ended: (cause: Error | undefined) => void): void {
  let failure: Error | undefined;
  connection.on("error", (cause) => {
    failure = cause;
  });
  stream.pipe(connection);
  connection.pipe(stream);
  stream.on("close", () => connection.destroy());
  connection.on("close", () => {
    ended(failure);
    stream.end();
  });
}

/**
 * A connection to 127.0.0.1 in the Pod's network namespace. A process can't go there for one socket only, so a small relay does;
 * it also reaches what listens on loopback alone, as Envoy's admin port.
 */
function dialPod({ netnsPath }: ForwardTarget, port: number): Duplex {
  if (netnsPath === undefined) return connect({ host: "127.0.0.1", port, allowHalfOpen: true });
  const relay = `const s=require("net").connect({host:"127.0.0.1",port:${port},allowHalfOpen:true});process.stdin.pipe(s).pipe(process.stdout);s.on("error",e=>{process.stderr.write(e.message);process.exit(1)})`;
  const child = spawn(
    "setpriv",
    ["--pdeathsig", "KILL", "nsenter", `--net=${netnsPath}`, process.execPath, "-e", relay],
    {
      stdio: ["pipe", "pipe", "pipe"],
    },
  );
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => { said += chunk; }); // prettier-ignore
  child.stdin.on("error", () => undefined);
  const duplex = Duplex.from({ readable: child.stdout, writable: child.stdin });
  duplex.on("close", () => child.kill("SIGKILL"));
  child.on("close", (code) => {
    duplex.destroy(code === 0 || said === "" ? undefined : new Error(said.trim()));
  });
  child.on("error", (error) => duplex.destroy(error));
  return duplex;
}
