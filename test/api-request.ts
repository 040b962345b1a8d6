/** Requests of tests to a real API server, without a client library: what was answered is looked at as it is. */
import { Agent, fetch } from "undici";
import type { KubeApiServer } from "./kube-api-server.ts";

/** What the server answered. */
export interface ApiAnswer {
  readonly status: number;
  /** The object, or a `Status`. */
  readonly body: Readonly<Record<string, unknown>>;
  /** Message of a `Status`; empty for an object. */
  readonly message: string;
}

/** Sends a request. `body` is sent as JSON. */
export type ApiRequest = (method: string, path: string, body?: unknown) => Promise<ApiAnswer>;

/** Requests as the test's administrator. */
export function apiRequest({ url, authority, token }: KubeApiServer): ApiRequest {
  const dispatcher = new Agent({ connect: { ca: authority } });
  return async (method, path, body) => {
    const response = await fetch(`${url}${path}`, {
      method,
      dispatcher,
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer = (await response.json()) as Record<string, unknown>;
    const said = answer["kind"] === "Status" ? answer["message"] : undefined;
    const message = typeof said === "string" ? said : "";
    return { status: response.status, body: answer, message };
  };
}
