/**
 * Looks whether somebody takes TCP connections at an address: connects, sends nothing, and hangs up. Four packets, from
 * source ports of their own, so that what probes cost a link can be told from what requests do.
 */
import { connect } from "node:net";
import type { ProbeTarget } from "../../model/desired.ts";

/** Failures of this machine, which say nothing of the other one. */
const ownFaults: ReadonlySet<string> = new Set([
  "EMFILE",
  "ENFILE",
  "ENOBUFS",
  "ENOMEM",
  "EADDRNOTAVAIL",
  "EADDRINUSE",
]);

/** Source ports, which no policy may have: the SD-WAN would take answers for its. */
const probePorts = { first: 29_000, count: 1_000 } as const;
let nextPort = 0;

/** Whether a connection is taken within so many ms; undefined if it could not even be tried. Never rejects. */
export function probeTcp(target: ProbeTarget, limitMs: number): Promise<boolean | undefined> {
  return new Promise((resolve) => {
    nextPort = (nextPort + 1) % probePorts.count;
    const localPort = probePorts.first + nextPort;
    const socket = connect({ host: target.address, port: target.port, localPort });
    const timer = setTimeout(() => {
      end(false);
    }, limitMs);
    const end = (answer: boolean | undefined): void => {
      clearTimeout(timer);
      // A reset is one packet; a goodbye would be three.
      socket.resetAndDestroy();
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
