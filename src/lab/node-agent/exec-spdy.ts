/**
 * A client of `kubectl exec` that came by SPDY, as client-go's older executor does: a stream for each of its standard streams, one for
 * the terminal's size, and one, `error`, on which it waits for the exit status. Protocol v4.channel.k8s.io.
 */
import { EventEmitter } from "node:events";
import type { Duplex } from "node:stream";
import { exitStatus, parseTerminalSize, type ExecClient, type TerminalSize } from "./exec-client.ts";
import type { ExecRequest } from "./kubelet-exec.ts";
import { SpdyConnection, type SpdyStream } from "./spdy-connection.ts";

/** The protocols that are spoken inside of SPDY. */
export const EXEC_SPDY_PROTOCOLS = ["v4.channel.k8s.io"];

/** A client that has not opened its streams by then gets no command. */
const OPENING_MS = 30_000;

/**
 * Takes the connection over; `start` gets the client once its streams are there. Where the request asks for a terminal, one client
 * opens the stream of sizes and another one, which has no terminal itself, that of standard error: either counts, as in the kubelet.
 */
export function serveSpdyExec(
  transport: Duplex,
  request: ExecRequest,
  start: (client: ExecClient) => void,
): void {
  const streams = new Map<string, SpdyStream>();
  const resizes = new EventEmitter<{ size: [TerminalSize] }>();
  const awaited = [
    "error",
    ...(request.stdin ? ["stdin"] : []),
    ...(request.stdout ? ["stdout"] : []),
    ...(request.stderr && !request.tty ? ["stderr"] : []),
  ];
  const number = awaited.length + (request.tty ? 1 : 0);
  let started = false;
  const timer = setTimeout(() => { connection.close(); }, OPENING_MS); // prettier-ignore
  transport.on("close", () => { clearTimeout(timer); }); // prettier-ignore
  const connection = new SpdyConnection(transport, (stream, headers) => {
    const type = headers["streamtype"] ?? "";
    if (!["error", "stdin", "stdout", "stderr", "resize"].includes(type) || streams.has(type)) return false;
    streams.set(type, stream);
    if (type === "resize")
      stream.on("data", (data: Buffer) => {
        const size = parseTerminalSize(data.toString());
        if (size !== undefined) resizes.emit("size", size);
      });
    // On the others nothing comes but the end.
    else if (type !== "stdin") stream.resume();
    if (!started && streams.size >= number && awaited.every((name) => streams.has(name))) {
      started = true;
      clearTimeout(timer);
      // Behind the answer to this last stream.
      setImmediate(() => { start(client()); }); // prettier-ignore
    }
    return true;
  });
  const client = (): ExecClient => ({
    stdin: streams.get("stdin"),
    stdout: streams.get("stdout"),
    stderr: request.tty ? undefined : streams.get("stderr"),
    onResize: (listener) => resizes.on("size", listener),
    onGone: (listener) => transport.on("close", listener),
    finish: (exitCode) => {
      const error = streams.get("error");
      error?.write(exitStatus(exitCode));
      const open = [...streams.values()].filter((stream) => !stream.writableFinished && !stream.destroyed);
      let left = open.length;
      const done = (): void => {
        left -= 1;
        if (left === 0) connection.close();
      };
      for (const stream of open) stream.once("close", done).end(done);
    },
  });
}
