/**
 * The kubelet's HTTPS endpoint, as far as `kubectl logs`, `exec` and `port-forward` need it. Only kube-apiserver may use it:
 * a client certificate of its CA is required. Clients come by WebSocket or by SPDY/3.1, as kube-apiserver passes them on.
 */
import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { Duplex } from "node:stream";
import { WebSocketServer, type WebSocket } from "ws";
import type { NodeAgentConfig } from "../node-agent-config.ts";
import type { LogQuery } from "./container-log.ts";
import { EXEC_PROTOCOLS } from "./exec-channels.ts";
import { parseExecQuery, serveExec } from "./kubelet-exec.ts";
import { EXEC_SPDY_PROTOCOLS, serveSpdyExec } from "./exec-spdy.ts";
import { webSocketExecClient } from "./exec-web-socket.ts";
import type { RunningContainer } from "./container-exec.ts";
import {
  acceptPortForward,
  acceptSpdyPortForward,
  PORT_FORWARD_PROTOCOL,
  PORT_FORWARD_WEB_SOCKET,
} from "./port-forward.ts";
import type { PodWorker } from "./pod-worker.ts";
import { spdyProtocol, switchToSpdy, wantsSpdy } from "./spdy-upgrade.ts";

/** Where the endpoint finds Pods. */
export interface PodDirectory {
  find(namespace: string, name: string): PodWorker | undefined;
  all(): readonly PodWorker[];
}

/** An answer that is an error for the client. */
class HttpError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Opens the endpoint on the node's address; resolves once it listens. */
export async function serveKubelet(config: NodeAgentConfig, pods: PodDirectory): Promise<Server> {
  const { certFile, keyFile, clientCAFile, port } = config.kubelet;
  const server = createServer({
    cert: readFileSync(certFile),
    key: readFileSync(keyFile),
    ca: readFileSync(clientCAFile),
    requestCert: true,
    rejectUnauthorized: true,
  });
  const sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    handleProtocols: (offered) => EXEC_PROTOCOLS.find((protocol) => offered.has(protocol)) ?? false,
  });
  server.on("request", (request, response) => {
    try {
      serveRequest(pods, request, response);
    } catch (error) {
      response.writeHead(error instanceof HttpError ? error.status : 500, { "content-type": "text/plain" });
      response.end(error instanceof Error ? error.message : String(error));
    }
  });
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on("error", () => undefined);
    try {
      serveUpgrade({ pods, sockets }, request, { socket, head });
    } catch (error) {
      const status = error instanceof HttpError ? error.status : 500;
      const text = error instanceof Error ? error.message : String(error);
      socket.end(
        `HTTP/1.1 ${status} Error\r\ncontent-type: text/plain\r\ncontent-length: ${Buffer.byteLength(text)}\r\nconnection: close\r\n\r\n${text}`,
      );
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, config.nodeIP, resolve);
  });
  return server;
}

function serveRequest(pods: PodDirectory, request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? "/", "https://node");
  const [verb, namespace = "", name = "", container = ""] = url.pathname.split("/").filter(Boolean);
  if (verb === "healthz") response.end("ok");
  else if (verb === "pods") {
    const items = pods.all().map((worker) => ({ ...worker.pod, status: worker.status() }));
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ apiVersion: "v1", kind: "PodList", metadata: {}, items }));
  } else if (verb === "containerLogs")
    serveLogs(findPod(pods, namespace, name), { container, query: url.searchParams }, response);
  else throw new HttpError(404, `the lab's node agent doesn't serve ${url.pathname}`);
}

function findPod(pods: PodDirectory, namespace: string, name: string): PodWorker {
  const worker = pods.find(namespace, name);
  if (worker === undefined) throw new HttpError(404, `pod ${namespace}/${name} is not on this node`);
  return worker;
}

/** The query of a log request. PURE but for the clock. */
function parseLogQuery(
  query: URLSearchParams,
): LogQuery & { readonly follow: boolean; readonly previous: boolean } {
  const number = (name: string): number | undefined =>
    query.get(name) === null ? undefined : Number(query.get(name));
  const [tailLines, limitBytes, sinceSeconds] = [
    number("tailLines"),
    number("limitBytes"),
    number("sinceSeconds"),
  ];
  const sinceText = query.get("sinceTime");
  const sinceTime =
    sinceText !== null
      ? new Date(sinceText)
      : sinceSeconds === undefined
        ? undefined
        : new Date(Date.now() - sinceSeconds * 1000);
  return {
    follow: query.get("follow") === "true",
    previous: query.get("previous") === "true",
    timestamps: query.get("timestamps") === "true",
    ...(tailLines === undefined ? {} : { tailLines }),
    ...(limitBytes === undefined ? {} : { limitBytes }),
    ...(sinceTime === undefined ? {} : { sinceTime }),
  };
}

function serveLogs(
  worker: PodWorker,
  at: { container: string; query: URLSearchParams },
  response: ServerResponse,
): void {
  const found = worker.container(at.container);
  if (found === undefined) throw new HttpError(404, `the pod has no container ${at.container}`);
  const query = parseLogQuery(at.query);
  const log = found.container.log(query.previous);
  const { state } = found.container.snapshot();
  if (log === undefined) {
    const reason = "waiting" in state ? state.waiting.reason : "not started";
    throw new HttpError(
      400,
      query.previous
        ? "previous terminated container not found"
        : `container "${at.container}" is waiting to start: ${reason}`,
    );
  }
  response.writeHead(200, { "content-type": "text/plain" });
  if (!query.follow) {
    response.end(log.read(query));
    return;
  }
  response.flushHeaders();
  const stop = log.follow(query, { write: (text) => response.write(text), end: () => response.end() });
  response.on("close", stop);
}

function serveUpgrade(
  { pods, sockets }: { pods: PodDirectory; sockets: WebSocketServer },
  request: IncomingMessage,
  { socket, head }: { socket: Duplex; head: Buffer },
): void {
  const url = new URL(request.url ?? "/", "https://node");
  const [verb, namespace = "", name = "", container = ""] = url.pathname.split("/").filter(Boolean);
  const at = { request, socket, head };
  const spdy = wantsSpdy(request);
  if (verb === "exec") {
    const running = findRunning(pods, { namespace, name, container });
    const exec = parseExecQuery(url.searchParams);
    if (spdy) {
      switchToSpdy(at, agreed(request, EXEC_SPDY_PROTOCOLS));
      serveSpdyExec(socket, exec, (client) => { serveExec(client, running, exec); }); // prettier-ignore
    } else sockets.handleUpgrade(request, socket, head, (webSocket: WebSocket) => { serveExec(webSocketExecClient(webSocket, exec), running, exec); }); // prettier-ignore
    return;
  }
  const offered = (request.headers["sec-websocket-protocol"] ?? "").split(",").map((protocol) => protocol.trim()); // prettier-ignore
  if (verb !== "portForward" || !(spdy || offered.includes(PORT_FORWARD_WEB_SOCKET)))
    throw new HttpError(404, `the lab's node agent doesn't serve ${url.pathname}`);
  const target = { netnsPath: findPod(pods, namespace, name).netnsPath };
  if (!spdy) acceptPortForward(at, target);
  else {
    agreed(request, [PORT_FORWARD_PROTOCOL]);
    acceptSpdyPortForward(at, target);
  }
}

function agreed(request: IncomingMessage, known: readonly string[]): string {
  const protocol = spdyProtocol(request, known);
  if (protocol === undefined)
    throw new HttpError(403, `the lab's node agent speaks ${known.join(", ")} inside of SPDY`);
  return protocol;
}

function findRunning(
  pods: PodDirectory,
  { namespace, name, container }: { namespace: string; name: string; container: string },
): RunningContainer {
  const found = findPod(pods, namespace, name).container(container);
  const pid = found?.container.pid;
  if (found?.launched === undefined || pid === undefined)
    throw new HttpError(400, `container ${container} isn't running`);
  return { ...found.launched, pid };
}
