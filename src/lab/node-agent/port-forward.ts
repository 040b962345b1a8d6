/**
 * `kubectl port-forward`: SPDY/3.1 inside of a WebSocket; for each connection of the client an error stream and a data stream, and
 * a TCP connection to the Pod.
 *
 *     kubectl ── WebSocket ── kube-apiserver ── WebSocket(SPDY frames) ── here ── TCP ── Pod
 */
import { spawn } from "node:child_process";
import type { IncomingMessage } from "node:http";
import { connect } from "node:net";
import { Duplex } from "node:stream";
import { WebSocketServer, type WebSocket } from "ws";
import {
  dataFrame,
  pingFrame,
  resetFrame,
  splitFrames,
  synReplyFrame,
  type SpdyFrame,
} from "./spdy-frames.ts";
import { SpdyHeaderCodec } from "./spdy-headers.ts";

/** The WebSocket subprotocol. */
export const PORT_FORWARD_PROTOCOL = "SPDY/3.1+portforward.k8s.io";

/** Where a Pod's ports are. */
export interface ForwardTarget {
  /** The Pod's network namespace; undefined for hostNetwork. */
  readonly netnsPath: string | undefined;
}

const MOST_BUFFERED = 1024 * 1024;

// ws refuses the protocol's name, in which "/" is no token: it never gets to see it.
const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });
sockets.on("headers", (headers) => headers.push(`Sec-WebSocket-Protocol: ${PORT_FORWARD_PROTOCOL}`));

/** Takes over a client's connection. */
export function acceptPortForward(
  at: { request: IncomingMessage; socket: Duplex; head: Buffer },
  target: ForwardTarget,
): void {
  delete at.request.headers["sec-websocket-protocol"];
  sockets.handleUpgrade(at.request, at.socket, at.head, (socket: WebSocket) => { new ForwardSession(socket, target).serve(); }); // prettier-ignore
}

/** The two streams of one forwarded connection. */
interface Pair {
  readonly port: number;
  errorStream: number | undefined;
  dataStream: number | undefined;
  connection: Duplex | undefined;
}

class ForwardSession {
  readonly #socket: WebSocket;
  readonly #target: ForwardTarget;
  readonly #codec = new SpdyHeaderCodec();
  readonly #byRequest = new Map<string, Pair>();
  readonly #byDataStream = new Map<number, Pair>();
  #rest: Buffer = Buffer.alloc(0);
  /** Frames are handled one after the other: header blocks share a zlib stream. */
  #work: Promise<void> = Promise.resolve();

  constructor(socket: WebSocket, target: ForwardTarget) {
    this.#socket = socket;
    this.#target = target;
  }

  serve(): void {
    this.#socket.on("message", (message: Buffer) => {
      const { frames, rest } = splitFrames(Buffer.concat([this.#rest, message]));
      this.#rest = rest;
      for (const frame of frames) {
        this.#work = this.#work.then(() => this.#handle(frame)).catch(() => { this.#socket.close(1002); }); // prettier-ignore
      }
    });
    this.#socket.on("error", () => undefined);
    this.#socket.on("close", () => {
      for (const { connection } of this.#byRequest.values()) connection?.destroy();
      void this.#work.finally(() => { this.#codec.close(); }); // prettier-ignore
    });
  }

  async #handle(frame: SpdyFrame): Promise<void> {
    switch (frame.kind) {
      case "syn-stream":
        await this.#open(frame.stream, frame.headers);
        return;
      case "headers":
        // Read for the sake of the zlib stream's state.
        await this.#codec.decode(frame.headers);
        return;
      case "data":
        this.#data(frame);
        return;
      case "reset":
        this.#byDataStream.get(frame.stream)?.connection?.destroy();
        return;
      case "ping":
        this.#socket.send(pingFrame(frame.id));
        return;
      case "go-away":
        this.#socket.close(1000);
        return;
      case "other":
        return;
    }
  }

  async #open(stream: number, block: Buffer): Promise<void> {
    const headers = await this.#codec.decode(block);
    const [port, request] = [Number(headers["port"]), headers["requestid"] ?? headers["port"] ?? ""];
    if (!Number.isInteger(port) || port < 1 || port > 65535) {
      this.#socket.send(resetFrame(stream));
      return;
    }
    const pair = this.#byRequest.get(request) ?? {
      port,
      errorStream: undefined,
      dataStream: undefined,
      connection: undefined,
    };
    this.#byRequest.set(request, pair);
    this.#socket.send(synReplyFrame(stream, await this.#codec.encode({})));
    if (headers["streamtype"] === "error") pair.errorStream = stream;
    else {
      pair.dataStream = stream;
      this.#byDataStream.set(stream, pair);
      this.#connect(pair, { stream, request });
    }
  }

  #data({ stream, data, fin }: { stream: number; data: Buffer; fin: boolean }): void {
    const connection = this.#byDataStream.get(stream)?.connection;
    if (connection === undefined) return;
    if (data.length > 0 && !connection.write(data)) {
      this.#socket.pause();
      const resume = (): void => { this.#socket.resume(); }; // prettier-ignore
      connection.once("drain", resume).once("close", resume);
    }
    if (fin) connection.end();
  }

  #connect(pair: Pair, { stream, request }: { stream: number; request: string }): void {
    const connection = dialPod(this.#target, pair.port);
    pair.connection = connection;
    let failure = "";
    connection.on("data", (data: Buffer) => {
      this.#socket.send(dataFrame(stream, data, false), () => {
        if (connection.isPaused() && this.#socket.bufferedAmount < MOST_BUFFERED) connection.resume();
      });
      if (this.#socket.bufferedAmount >= MOST_BUFFERED) connection.pause();
    });
    connection.on("error", (error) => { failure = `error forwarding port ${pair.port} to the pod: ${error.message}`; }); // prettier-ignore
    connection.on("close", () => {
      this.#byRequest.delete(request);
      this.#byDataStream.delete(stream);
      if (this.#socket.readyState !== this.#socket.OPEN) return;
      if (pair.errorStream !== undefined)
        this.#socket.send(dataFrame(pair.errorStream, Buffer.from(failure), true));
      this.#socket.send(dataFrame(stream, Buffer.alloc(0), true));
    });
  }
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
