/** Looks whether somebody takes TCP connections at an address: connects, sends nothing, and hangs up. */
import { connect } from "node:net";
import type { ProbeTarget } from "../../model/desired.ts";

/** Failures of this machine, which say nothing of the other one. */
const ownFaults: ReadonlySet<string> = new Set(["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "EADDRNOTAVAIL"]);

/** Whether a connection is taken within so many ms; undefined if it could not even be tried. Never rejects. */
export function probeTcp(target: ProbeTarget, limitMs: number): Promise<boolean | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: target.address, port: target.port });
    const timer = setTimeout(() => {
      end(false);
    }, limitMs);
    const end = (answer: boolean | undefined): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    socket.once("connect", () => {
      end(true);
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      end(ownFaults.has(error.code ?? "") ? undefined : false);
    });
  });
}
