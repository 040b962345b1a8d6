/**
 * HTTP to one cluster: one pool of kept-alive HTTP/1.1 connections, credentials on every request, bounded answers.
 *
 * Never retries and never follows a redirect: the loops above decide, and an answer from elsewhere is not the cluster's.
 */
import { Agent } from "undici";
import type { Dispatcher } from "undici";
import type { UnavailableError } from "../../model/errors.ts";
import type { ClusterAccess } from "./cluster-access.ts";
import { answerError, connectionError } from "./kube-error.ts";

const connectTimeoutMs = 10_000;
/** From request to the end of the answer; watches only to the beginning of it. */
const answerTimeoutMs = 30_000;
/** A page of 500 objects of the largest size there is would be larger; nobody has those. */
const longestAnswerBytes = 256 * 1024 * 1024;

/** One request. */
export interface KubeRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** From {@link kubePath}. */
  readonly path: string;
  /** For errors: `list services`. */
  readonly action: string;
  readonly body?: unknown;
  readonly contentType?: string;
  /** What of JSON is asked for; `application/json`, if nothing is said. */
  readonly accept?: string;
  readonly signal?: AbortSignal | undefined;
  /** About a Secret: errors tell nothing of the answer. */
  readonly secret?: boolean;
}

/** One per cluster. */
export class Transport {
  readonly #access: ClusterAccess;
  readonly #agent: Agent;
  readonly #closed = new AbortController();

  constructor(access: ClusterAccess) {
    this.#access = access;
    this.#agent = new Agent({
      allowH2: false,
      connect: { ...access.tls, timeout: connectTimeoutMs, keepAlive: true, keepAliveInitialDelay: 15_000 },
      keepAliveTimeout: 30_000,
      headersTimeout: answerTimeoutMs,
      // Watches are silent for long; their reader has a timer of its own, other answers a time limit as a whole.
      bodyTimeout: 0,
    });
  }

  /** Sends a request and reads the whole answer as JSON. Throws for a status of 300 or more. */
  async json(request: KubeRequest): Promise<unknown> {
    const signal = this.#signal(request.signal, AbortSignal.timeout(answerTimeoutMs));
    const response = await this.#send(request, signal);
    const body = parseBody(await this.#read(response, request));
    this.#check(request, response, body);
    return body;
  }

  /** Sends a request; when its answer begins, gives it piece by piece, for as long as it lasts. */
  async pieces(request: KubeRequest): Promise<AsyncIterable<Uint8Array>> {
    const response = await this.#send(request, this.#signal(request.signal));
    if (response.statusCode >= 300) {
      this.#check(request, response, parseBody(await this.#read(response, request)));
    }
    return piecesOf(response.body, request.action);
  }

  /** Ends every connection at once; requests that are under way fail. */
  async close(): Promise<void> {
    this.#closed.abort();
    await this.#agent.destroy();
  }

  async #read({ body }: Dispatcher.ResponseData, { action }: KubeRequest): Promise<string> {
    return await readBody(body, { action, maxBytes: this.#access.maxAnswerBytes ?? longestAnswerBytes });
  }

  #signal(...signals: readonly (AbortSignal | undefined)[]): AbortSignal {
    return AbortSignal.any([this.#closed.signal, ...signals.filter((signal) => signal !== undefined)]);
  }

  async #send(request: KubeRequest, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    const { server } = this.#access;
    try {
      const authorization = await this.#access.authorization();
      return await this.#agent.request({
        origin: server.origin,
        path: `${server.pathname.replace(/\/$/, "")}${request.path}`,
        method: request.method,
        headers: {
          accept: request.accept ?? "application/json",
          "user-agent": "mc-wan",
          ...(authorization === undefined ? {} : { authorization }),
          ...(request.body === undefined
            ? {}
            : { "content-type": request.contentType ?? "application/json" }),
        },
        ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
        signal,
      });
    } catch (cause) {
      throw connectionError(request.action, cause);
    }
  }

  #check(request: KubeRequest, response: Dispatcher.ResponseData, body: unknown): void {
    if (response.statusCode < 300) return;
    const header = response.headers["retry-after"];
    throw answerError({
      action: request.action,
      status: response.statusCode,
      body,
      retryAfter: typeof header === "string" ? header : undefined,
      secret: request.secret ?? false,
    });
  }
}

async function* piecesOf(
  body: Dispatcher.ResponseData["body"],
  action: string,
): AsyncGenerator<Uint8Array, void> {
  try {
    for await (const piece of body) yield piece as Uint8Array;
  } catch (cause) {
    throw connectionError(action, cause);
  } finally {
    body.destroy();
  }
}

async function readBody(
  body: Dispatcher.ResponseData["body"],
  { action, maxBytes }: { readonly action: string; readonly maxBytes: number },
): Promise<string> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const piece of body as AsyncIterable<Uint8Array>) {
      bytes += piece.length;
      if (bytes > maxBytes) throw tooLarge(action);
      pieces.push(piece);
    }
  } catch (cause) {
    throw connectionError(action, cause);
  }
  return Buffer.concat(pieces).toString("utf8");
}

function tooLarge(action: string): UnavailableError {
  return connectionError(action, Object.assign(new Error("answer too large"), { code: "ANSWER_TOO_LARGE" }));
}

/** Undefined for what is no JSON: an error page of something that stands between. */
function parseBody(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
