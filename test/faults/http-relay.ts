/**
 * An HTTPS relay in front of an API server, with faults: answers in place of the server's, watch lines that are lost, cut
 * or late, and an end before a given write. On 127.0.0.1, with a certificate of its own.
 */
import { createServer, Agent, request as httpsRequest } from "node:https";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { createAuthority } from "../../src/lab/certificates.ts";
import { LineSplitter } from "../../src/drivers/kube/watch-lines.ts";
import type { KubeApiServer } from "../kube-api-server.ts";

/** A request as it passes. */
interface Passing {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly isWatch: boolean;
  readonly isWrite: boolean;
}

/** In place of the server's answer. */
interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** What goes wrong; each may be changed at any time. */
interface HttpFaults {
  /** What is answered instead; undefined: what the server says. */
  answer?: (request: Passing) => Answer | undefined;
  /** Called with every whole answer to a GET that is no watch; gives what is passed on. */
  list?: (request: Passing, body: string) => string;
  /** What is passed on of a line of a watch: pieces, as they are to arrive; none: the line is lost. */
  line?: (request: Passing, line: string) => readonly string[];
  /** How long an answer waits. */
  delayMs?: (request: Passing) => number;
}

export interface HttpRelay {
  readonly url: string;
  /** PEM. */
  readonly authority: string;
  faults: HttpFaults;
  /** Requests that came, oldest first. */
  readonly seen: Passing[];
  /** Ends all connections, and refuses new ones until {@link open}. */
  cut(): void;
  open(): void;
  /** Ends all watches, in good order. */
  endWatches(): void;
  close(): Promise<void>;
}

/** Starts one that passes everything on. */
export async function startHttpRelay(target: KubeApiServer): Promise<HttpRelay> {
  const authority = await createAuthority("mc-wan relay");
  const { certificate, key } = await authority.issue({
    commonName: "relay",
    dnsNames: ["localhost"],
    addresses: ["127.0.0.1"],
  });
  const agent = new Agent({ keepAlive: true, ca: target.authority });
  const seen: Passing[] = [];
  const sockets = new Set<Socket>();
  const watches = new Set<ServerResponse>();
  let isCut = false;

  const pass = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const { method = "GET", url = "/" } = incoming;
    const passing: Passing = {
      method,
      url,
      isWatch: url.includes("watch=true"),
      isWrite: method !== "GET",
    };
    seen.push(passing);
    const body = await bodyOf(incoming);
    const delayMs = relay.faults.delayMs?.(passing) ?? 0;
    if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
    const answer = relay.faults.answer?.(passing);
    if (answer !== undefined) {
      outgoing.writeHead(answer.status, { "content-type": "application/json", ...answer.headers });
      outgoing.end(answer.body ?? JSON.stringify({ kind: "Status", code: answer.status }));
      return;
    }
    // Cut after it was looked at: the write that is to be the first one lost does not arrive.
    if (isCut) {
      outgoing.destroy();
      return;
    }
    const { host: _host, connection: _connection, ...headers } = incoming.headers;
    const upstream = httpsRequest(new URL(url, target.url), { method, headers, agent }, (response) => {
      response.on("error", () => outgoing.destroy());
      const { "content-length": _length, "transfer-encoding": _encoding, ...rest } = response.headers;
      outgoing.writeHead(response.statusCode ?? 502, rest);
      if (passing.isWatch && response.statusCode === 200) passWatch(passing, response, outgoing);
      else void passWhole(passing, response, outgoing);
    });
    outgoing.on("close", () => upstream.destroy());
    upstream.on("error", () => outgoing.destroy());
    upstream.end(body);
  };

  const passWatch = (passing: Passing, response: IncomingMessage, outgoing: ServerResponse): void => {
    watches.add(outgoing);
    outgoing.on("close", () => watches.delete(outgoing));
    outgoing.flushHeaders();
    const splitter = new LineSplitter();
    response.on("data", (bytes: Buffer) => {
      for (const line of splitter.push(bytes)) {
        const text = JSON.stringify(line);
        const pieces = relay.faults.line?.(passing, text) ?? [`${text}\n`];
        for (const piece of pieces) outgoing.write(piece);
      }
    });
    response.on("end", () => outgoing.end());
  };

  const passWhole = async (
    passing: Passing,
    response: IncomingMessage,
    outgoing: ServerResponse,
  ): Promise<void> => {
    const whole = await bodyOf(response).catch(() => undefined);
    if (whole === undefined) {
      outgoing.destroy();
      return;
    }
    const isList = passing.method === "GET" && relay.faults.list !== undefined;
    outgoing.end(isList ? relay.faults.list?.(passing, whole.toString()) : whole);
  };

  const server = createServer({ cert: certificate, key }, (incoming, outgoing) => {
    pass(incoming, outgoing).catch(() => outgoing.destroy());
  });
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    if (isCut) socket.resetAndDestroy();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const relay: HttpRelay = {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    authority: authority.certificate,
    faults: {},
    seen,
    cut: () => {
      isCut = true;
      for (const socket of sockets) socket.resetAndDestroy();
    },
    open: () => (isCut = false),
    endWatches: () => {
      for (const watch of watches) watch.end();
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      agent.destroy();
      await new Promise<void>((resolve) =>
        server.close(() => {
          resolve();
        }),
      );
    },
  };
  return relay;
}

async function bodyOf(incoming: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of incoming) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}
