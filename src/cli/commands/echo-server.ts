/**
 * The HTTP/1.1 server of `mcwan echo`: answers every request with what arrived and who answers.
 *
 *     GET /any?bytes=N&delayMs=N&status=N   →   x-served-by: <cluster>/<pod>
 *
 * Never keeps anything of a request and never logs one. Every number that a client may send is bounded.
 */
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { wholeNumber } from "./whole-number.ts";
import type { Bounds } from "./whole-number.ts";

/** Who answers. */
export interface EchoIdentity {
  readonly cluster: string;
  readonly namespace: string;
  readonly pod: string;
}

/** What an answer holds where no payload was asked for. */
export interface EchoAnswer extends EchoIdentity {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly host: string;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  /** Length of the request's body. */
  readonly receivedBytes: number;
}

/** A server that can be taken out of service without harm to its clients. */
export interface EchoServer {
  readonly server: Server;
  /** `/readyz` answers 503 from now on; answers end their connections. New requests are still answered. */
  leave(): void;
  /** Accepts no more; fulfils when what was begun is done, or was cut off after `limitMs`. */
  finish(limitMs: number): Promise<void>;
}

const maxPayloadBytes = 64 * 1024 * 1024;
const maxDelayMs = 600_000;
/** More than the 96 KiB that gateways let through. */
const maxHeaderBytes = 128 * 1024;
const chunk = Buffer.alloc(64 * 1024, "mc-wan ");

/** Query parameter → its bounds. */
const parameters = {
  bytes: { min: 0, max: maxPayloadBytes },
  delayMs: { min: 0, max: maxDelayMs },
  status: { min: 200, max: 599 },
} as const satisfies Record<string, Bounds>;

type Wishes = { -readonly [name in keyof typeof parameters]?: number };

/** Makes the server; the caller lets it listen. */
export function createEchoServer(identity: EchoIdentity): EchoServer {
  let leaving = false;
  const server = createServer({ maxHeaderSize: maxHeaderBytes }, (request, response) => {
    response.setHeader("x-served-by", `${identity.cluster}/${identity.pod}`);
    response.shouldKeepAlive &&= !leaving;
    if (request.url === "/readyz") {
      sendJson(response, leaving ? 503 : 200, { ready: !leaving });
      return;
    }
    answer(identity, request, response).catch(() => {
      // The client has gone, or its body broke off: nobody is left to be answered.
      response.destroy();
    });
  });
  // A proxy keeps connections for an hour; closing an idle one first would lose the request that is just on its way.
  server.keepAliveTimeout = 0;
  server.requestTimeout = 0;
  return {
    server,
    leave: () => {
      leaving = true;
    },
    finish: async (limitMs) => {
      leaving = true;
      const closed = new Promise<void>((resolve) => {
        server.close(() => {
          resolve();
        });
      });
      const limit = setTimeout(() => {
        server.closeAllConnections();
      }, limitMs);
      // An answer that was begun as one that keeps its connection leaves it open.
      const idle = setInterval(() => {
        server.closeIdleConnections();
      }, 50);
      await closed;
      clearTimeout(limit);
      clearInterval(idle);
    },
  };
}

async function answer(
  identity: EchoIdentity,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const path = request.url ?? "/";
  const wishes = wishesOf(path);
  if (typeof wishes === "string") {
    request.resume();
    sendJson(response, 400, { error: wishes });
    return;
  }
  let receivedBytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) receivedBytes += part.length;
  if (wishes.delayMs !== undefined) await sleep(wishes.delayMs);
  const status = wishes.status ?? 200;
  if (wishes.bytes !== undefined) {
    await sendPayload(response, status, wishes.bytes);
    return;
  }
  sendJson(response, status, {
    ...identity,
    method: request.method ?? "",
    path,
    host: request.headers.host ?? "",
    headers: definedOnly(request.headers),
    receivedBytes,
  } satisfies EchoAnswer);
}

/** What the query asks for, or what is wrong with it. */
function wishesOf(path: string): Readonly<Wishes> | string {
  const query = new URLSearchParams(path.split("?", 2)[1] ?? "");
  const wishes: Wishes = {};
  for (const [name, bounds] of Object.entries(parameters) as [keyof Wishes, Bounds][]) {
    const text = query.get(name);
    if (text === null) continue;
    const value = wholeNumber(text, bounds);
    if (value === undefined) return `${name} must be a whole number from ${bounds.min} to ${bounds.max}`;
    wishes[name] = value;
  }
  return wishes;
}

function definedOnly(headers: IncomingMessage["headers"]): Record<string, string | readonly string[]> {
  return Object.fromEntries(
    Object.entries(headers).filter((entry): entry is [string, string | string[]] => entry[1] !== undefined),
  );
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const body = Buffer.from(`${JSON.stringify(value)}\n`);
  // 204 and 304 have no body, and a length would be waited for.
  const hasBody = status !== 204 && status !== 304;
  response.writeHead(
    status,
    hasBody ? { "content-type": "application/json", "content-length": body.length } : {},
  );
  response.end(hasBody ? body : undefined);
}

async function sendPayload(response: ServerResponse, status: number, bytes: number): Promise<void> {
  response.writeHead(status, { "content-type": "application/octet-stream", "content-length": bytes });
  for (let left = bytes; left > 0; left -= chunk.length) {
    if (response.destroyed) return;
    const isTaken = response.write(left >= chunk.length ? chunk : chunk.subarray(0, left));
    if (!isTaken) await drained(response);
  }
  response.end();
}

/** Fulfils when the response takes more, or never will. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off("drain", done).off("close", done);
      resolve();
    };
    response.on("drain", done).on("close", done);
  });
}
