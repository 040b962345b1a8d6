/**
 * The frames of the WebSocket protocols v4.channel.k8s.io and v5.channel.k8s.io: the first byte is the channel. PURE.
 * Source: k8s.io/apimachinery/pkg/util/remotecommand.
 */
import { exitStatus, parseTerminalSize, type TerminalSize } from "./exec-client.ts";

/** Channel numbers. */
export const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, status: 3, resize: 4, close: 255 } as const;

/** The protocols that are spoken, best first. v5 adds the closing of a channel. */
export const EXEC_PROTOCOLS = ["v5.channel.k8s.io", "v4.channel.k8s.io"];

/** What a client may send. */
export type ClientFrame =
  | { readonly kind: "stdin"; readonly data: Buffer }
  | { readonly kind: "resize"; readonly size: TerminalSize }
  | { readonly kind: "close-stdin" }
  | { readonly kind: "unknown" };

/** Reads a client's frame; what it can't read is `unknown`. */
export function parseClientFrame(frame: Buffer): ClientFrame {
  const data = frame.subarray(1);
  switch (frame[0]) {
    case CHANNEL.stdin:
      return { kind: "stdin", data };
    case CHANNEL.close:
      return data[0] === CHANNEL.stdin ? { kind: "close-stdin" } : { kind: "unknown" };
    case CHANNEL.resize: {
      const size = parseTerminalSize(data.toString());
      return size === undefined ? { kind: "unknown" } : { kind: "resize", size };
    }
    case undefined:
    default:
      return { kind: "unknown" };
  }
}

/** A frame for the client. */
export function channelFrame(channel: number, data: Buffer): Buffer {
  return Buffer.concat([Buffer.from([channel]), data]);
}

/** The last word of an exec: how the command ended. */
export function exitStatusFrame(exitCode: number): Buffer {
  return channelFrame(CHANNEL.status, Buffer.from(exitStatus(exitCode)));
}
