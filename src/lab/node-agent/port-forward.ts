/** placeholder until written */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
export const PORT_FORWARD_PROTOCOL = "SPDY/3.1+portforward.k8s.io";
export function acceptPortForward(
  _at: { request: IncomingMessage; socket: Duplex; head: Buffer },
  _netns: string | undefined,
): void {
  throw new Error("not yet");
}
