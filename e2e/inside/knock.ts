/**
 * Comes to a gateway's port as who doesn't belong there, and prints what it was answered.
 *
 *     knock plain|tls <address> <port> <host name>
 *
 * `plain`: an HTTP request without TLS; `tls`: one over TLS, without a certificate. Runs in a Pod, given on standard input:
 * imports nothing but Node's own.
 */
import { connect } from "node:net";
import type { Socket } from "node:net";
import { connect as connectTls } from "node:tls";

const [, , how, address = "", port = "", host = ""] = process.argv;
const limitMs = 5_000;

/** What came of it. */
export interface Knock {
  /** Whether there was a connection at all: nobody at home is no proof. */
  readonly isConnected: boolean;
  /** The first bytes that came back, as text: of HTTP, if it is any. */
  readonly answer: string;
  /** Of the gateway's certificate; empty without TLS. */
  readonly fingerprint: string;
  readonly error: string;
}

const to = { host: address, port: Number(port) };
let isConnected = false;
let answer = "";
let fingerprint = "";
let error = "";

const end = (): never => {
  process.stdout.write(`${JSON.stringify({ isConnected, answer, fingerprint, error } satisfies Knock)}\n`);
  process.exit(0);
};
const asks = (socket: Socket): void => {
  socket.write(`GET / HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`);
};
const limit = setTimeout(end, limitMs);
const follow = (socket: Socket): void => {
  socket.on("data", (bytes: Buffer) => {
    answer = (answer + bytes.toString("latin1")).slice(0, 200);
  });
  socket.on("error", (cause: Error & { code?: string }) => {
    error = cause.code ?? cause.message;
  });
  socket.on("close", () => {
    clearTimeout(limit);
    end();
  });
};

if (how === "tls") {
  // HTTP/1.1 too: a gateway that took it would answer.
  const socket = connectTls({
    ...to,
    servername: host,
    ALPNProtocols: ["h2", "http/1.1"],
    rejectUnauthorized: false,
  });
  socket.once("connect", () => {
    isConnected = true;
  });
  socket.once("secureConnect", () => {
    fingerprint = socket.getPeerCertificate().fingerprint256;
    asks(socket);
  });
  follow(socket);
} else {
  const socket = connect(to);
  socket.once("connect", () => {
    isConnected = true;
    asks(socket);
  });
  follow(socket);
}
