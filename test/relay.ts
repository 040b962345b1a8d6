/** A TCP relay with faults: between a client and a server, on 127.0.0.1. */
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";

export interface Relay {
  readonly port: number;
  /** New connections, and those that stand, work. */
  open(): void;
  /** Cuts all connections and refuses new ones: a server that is down. */
  cut(): void;
  /** Passes nothing on and closes nothing: a half-open path. */
  stall(): void;
  close(): Promise<void>;
}

/** Starts one that is open. */
export async function startRelay(targetPort: number): Promise<Relay> {
  let mode: "Open" | "Cut" | "Stalled" = "Open";
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(targetPort, "127.0.0.1");
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on("error", () => to.destroy());
      from.on("close", () => {
        sockets.delete(from);
        to.destroy();
      });
      from.on("data", (bytes) => {
        if (mode === "Open") to.write(bytes);
      });
    }
    if (mode === "Cut") client.resetAndDestroy();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    open: () => (mode = "Open"),
    cut: () => {
      mode = "Cut";
      for (const socket of sockets) socket.resetAndDestroy();
    },
    stall: () => (mode = "Stalled"),
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) =>
        server.close(() => {
          resolve();
        }),
      );
    },
  };
}
