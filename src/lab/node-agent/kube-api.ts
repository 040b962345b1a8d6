/**
 * The node agent's own connection to its one kube-apiserver: kubeconfig file in, JSON requests and watch streams out.
 *
 * It knows tokens, client certificates and a CA by path or inline data, which is all that the lab writes. It never retries
 * and never logs: callers decide. client-node is left out on purpose: 90 MB per cluster for a handful of requests.
 */
import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { Agent, request } from "undici";
import { parse as parseYaml } from "yaml";
import { arrayAt, objectAt, optionalStringAt, stringAt, type JsonObject } from "./json.ts";

/** The API server answered, and said no. `reason` is the Status object's reason (`NotFound`, `Conflict`, …), or empty. */
export class ApiRefusedError extends Error {
  override readonly name = "ApiRefusedError";
  readonly status: number;
  readonly reason: string;
  constructor(method: string, path: string, answer: { status: number; reason: string; message: string }) {
    super(`${method} ${path}: ${answer.status} ${answer.reason}: ${answer.message}`);
    this.status = answer.status;
    this.reason = answer.reason;
  }
}

/** What it takes to reach one API server. */
export interface KubeConnection {
  readonly server: string;
  readonly ca?: string;
  readonly serverName?: string;
  readonly token?: string;
  readonly cert?: string;
  readonly key?: string;
}

function named(list: unknown[], name: string, field: string): JsonObject {
  for (const entry of list) {
    const candidate = objectAt({ entry }, "entry");
    if (candidate["name"] === name) return objectAt(candidate, field);
  }
  throw new Error(`kubeconfig has no ${field} named ${name}`);
}

/** Reads the current context of a kubeconfig file. Relative paths in it count from its own folder. Throws on what is missing. */
export function readKubeconfig(file: string): KubeConnection {
  const config = objectAt({ config: parseYaml(readFileSync(file, "utf8")) as unknown }, "config");
  const context = named(arrayAt(config, "contexts"), stringAt(config, "current-context"), "context");
  const cluster = named(arrayAt(config, "clusters"), stringAt(context, "cluster"), "cluster");
  const user = named(arrayAt(config, "users"), stringAt(context, "user"), "user");
  const pem = (from: JsonObject, field: string): string | undefined => {
    const inline = optionalStringAt(from, `${field}-data`);
    if (inline !== undefined) return Buffer.from(inline, "base64").toString();
    const path = optionalStringAt(from, field);
    return path === undefined ? undefined : readFileSync(resolve(dirname(file), path), "utf8");
  };
  const tokenFile = optionalStringAt(user, "tokenFile");
  const optional = {
    ca: pem(cluster, "certificate-authority"),
    serverName: optionalStringAt(cluster, "tls-server-name"),
    token:
      optionalStringAt(user, "token") ??
      (tokenFile === undefined ? undefined : readFileSync(resolve(dirname(file), tokenFile), "utf8").trim()),
    cert: pem(user, "client-certificate"),
    key: pem(user, "client-key"),
  };
  const present = Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined));
  return { server: stringAt(cluster, "server").replace(/\/$/, ""), ...present };
}

/** What a request carries; `contentType` matters for PATCH. */
export interface RequestBody {
  readonly body?: unknown;
  readonly contentType?: string;
}

/** One API server. */
export class KubeApi {
  readonly #connection: KubeConnection;
  readonly #dispatcher: Agent;

  constructor(connection: KubeConnection) {
    this.#connection = connection;
    const { ca, cert, key, serverName } = connection;
    this.#dispatcher = new Agent({
      connect: {
        ...(ca === undefined ? {} : { ca }),
        ...(cert === undefined ? {} : { cert }),
        ...(key === undefined ? {} : { key }),
        ...(serverName === undefined ? {} : { servername: serverName }),
        timeout: 5_000,
      },
      headersTimeout: 30_000,
      // Watches are ended by their readers, who know how long a stream may be silent.
      bodyTimeout: 0,
    });
  }

  /** One request, its JSON answer. Throws ApiRefusedError for a status of 400 and above, undici's errors when nobody answers. */
  async call(
    method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE",
    path: string,
    { body, contentType }: RequestBody = {},
  ): Promise<unknown> {
    const response = await request(this.#connection.server + path, {
      dispatcher: this.#dispatcher,
      method,
      headers: {
        ...this.#headers(),
        ...(body === undefined ? {} : { "content-type": contentType ?? "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.body.text();
    if (response.statusCode >= 400) throw refusal({ method, path, status: response.statusCode, text });
    return text === "" ? undefined : (JSON.parse(text) as unknown);
  }

  /** A watch's lines, as they come. Ends when the server ends it or `signal` fires; throws like `call`. */
  async *lines(path: string, signal: AbortSignal): AsyncGenerator<string> {
    const response = await request(this.#connection.server + path, {
      dispatcher: this.#dispatcher,
      method: "GET",
      headers: this.#headers(),
      signal,
    });
    if (response.statusCode >= 400) {
      throw refusal({ method: "WATCH", path, status: response.statusCode, text: await response.body.text() });
    }
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of response.body as AsyncIterable<Buffer>) {
      const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = parts.pop() ?? "";
      yield* parts;
    }
  }

  /** Ends every connection. */
  async close(): Promise<void> {
    await this.#dispatcher.destroy();
  }

  #headers(): Record<string, string> {
    const { token } = this.#connection;
    return {
      accept: "application/json",
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    };
  }
}

function refusal(answer: { method: string; path: string; status: number; text: string }): ApiRefusedError {
  let reason = "";
  let message = answer.text.slice(0, 500);
  try {
    const status = objectAt({ status: JSON.parse(answer.text) as unknown }, "status");
    reason = optionalStringAt(status, "reason") ?? "";
    message = optionalStringAt(status, "message") ?? message;
  } catch {
    // Not a Status object (a proxy's page, an empty body): the text itself is the best message there is.
  }
  return new ApiRefusedError(answer.method, answer.path, { status: answer.status, reason, message });
}

/** Whether the object is not there (any more). */
export function isNotFound(error: unknown): boolean {
  return error instanceof ApiRefusedError && error.status === 404;
}
