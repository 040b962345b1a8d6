/** A client of `kubectl exec` that came by WebSocket: each of its streams is a channel, the first byte of a frame. */
import { EventEmitter } from "node:events";
import { Readable, Writable } from "node:stream";
import type { WebSocket } from "ws";
import { CHANNEL, channelFrame, exitStatusFrame, parseClientFrame } from "./exec-channels.ts";
import type { ExecClient, TerminalSize } from "./exec-client.ts";
import type { ExecRequest } from "./kubelet-exec.ts";

/** Takes the WebSocket over. */
export function webSocketExecClient(socket: WebSocket, request: ExecRequest): ExecClient {
  const resizes = new EventEmitter<{ size: [TerminalSize] }>();
  const stdin = new Readable({ read: () => { socket.resume(); } }); // prettier-ignore
  socket.on("message", (message: Buffer) => {
    const frame = parseClientFrame(message);
    if (frame.kind === "resize") resizes.emit("size", frame.size);
    else if (!request.stdin || stdin.readableEnded || stdin.destroyed) return;
    else if (frame.kind === "close-stdin") stdin.push(null);
    else if (frame.kind === "stdin" && !stdin.push(frame.data)) socket.pause();
  });
  socket.on("error", () => undefined);
  const channel = (number: number): Writable =>
    new Writable({
      write: (chunk: Buffer, _encoding, done) => { socket.send(channelFrame(number, chunk), done); }, // prettier-ignore
    });
  return {
    stdin: request.stdin ? stdin : undefined,
    stdout: request.stdout ? channel(CHANNEL.stdout) : undefined,
    stderr: request.stderr ? channel(CHANNEL.stderr) : undefined,
    onResize: (listener) => resizes.on("size", listener),
    onGone: (listener) => socket.on("close", listener),
    finish: (exitCode) => { socket.send(exitStatusFrame(exitCode), () => { socket.close(1000); }); }, // prettier-ignore
  };
}
