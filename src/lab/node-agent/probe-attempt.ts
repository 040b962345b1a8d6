/**
 * One attempt of a probe or of a lifecycle hook's HTTP call: httpGet, tcpSocket, exec, grpc. Never throws and never outlives its
 * time-out.
 */
import { connect as http2Connect } from "node:http2";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { connect } from "node:net";
import type { IContainer } from "kubernetes-models/v1/Container";
import type { Probe } from "./probe-state.ts";

/** What an attempt found; `message` is for people. */
export interface ProbeResult {
  readonly ok: boolean;
  readonly message: string;
}

/** The container an attempt is made at. */
export interface ProbeTarget {
  /** The Pod's address. */
  ip(): string;
  readonly container: IContainer;
  /** Runs a command in the container; the exit code is what counts. */
  exec(command: readonly string[], timeoutMs: number): Promise<{ exitCode: number; output: string }>;
}

type HttpGet = NonNullable<Probe["httpGet"]>;

/** A port by number or by the name that the container gives it. Throws on an unknown name. */
function portNumber(container: IContainer, port: string | number): number {
  if (typeof port === "number") return port;
  if (/^\d+$/.test(port)) return Number(port);
  const named = container.ports?.find(({ name }) => name === port);
  if (named === undefined) throw new Error(`container ${container.name} has no port named ${port}`);
  return named.containerPort;
}

/** Makes one attempt. */
export async function attemptProbe(probe: Probe, target: ProbeTarget): Promise<ProbeResult> {
  const timeoutMs = (probe.timeoutSeconds ?? 1) * 1000;
  try {
    if (probe.httpGet !== undefined) return await httpGet(probe.httpGet, target, timeoutMs);
    if (probe.tcpSocket !== undefined) {
      const { host = target.ip(), port } = probe.tcpSocket;
      return await tcpConnect(host, portNumber(target.container, port), timeoutMs);
    }
    if (probe.exec !== undefined) {
      const { exitCode, output } = await target.exec(probe.exec.command ?? [], timeoutMs);
      return { ok: exitCode === 0, message: `exit ${exitCode}: ${output.slice(0, 500).trim()}` };
    }
    if (probe.grpc !== undefined) return await grpcHealth({ ip: target.ip(), ...probe.grpc }, timeoutMs);
    return { ok: false, message: "the probe has no handler" };
  } catch (error) {
    return { ok: false, message: error instanceof Error ? error.message : String(error) };
  }
}

/** An HTTP GET as the kubelet does it: 200 to 399 is good, certificates are not verified. Never throws. */
export function httpGet(get: HttpGet, target: ProbeTarget, timeoutMs: number): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const headers: Record<string, string> = {
      "user-agent": "kube-probe/1.36",
      accept: "*/*",
      connection: "close",
    };
    for (const { name, value } of get.httpHeaders ?? []) headers[name.toLowerCase()] = value;
    const secure = get.scheme === "HTTPS";
    const options = {
      host: get.host ?? target.ip(),
      port: portNumber(target.container, get.port),
      path: get.path ?? "/",
      headers,
      agent: false as const,
      signal: AbortSignal.timeout(timeoutMs),
    };
    const request = secure ? httpsRequest({ ...options, rejectUnauthorized: false }) : httpRequest(options);
    request.on("response", (response) => {
      const status = response.statusCode ?? 0;
      response.on("error", () => undefined).resume();
      resolve({ ok: status >= 200 && status < 400, message: `HTTP probe failed with statuscode: ${status}` });
    });
    request.on("error", (error) => { resolve({ ok: false, message: `Get "${options.path}": ${error.message}` }); }); // prettier-ignore
    request.end();
  });
}

function tcpConnect(host: string, port: number, timeoutMs: number): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const done = (ok: boolean, message: string): void => {
      socket.destroy();
      resolve({ ok, message });
    };
    socket.setTimeout(timeoutMs, () => { done(false, `no connection to port ${port} in time`); }); // prettier-ignore
    socket.on("connect", () => { done(true, ""); }); // prettier-ignore
    socket.on("error", (error) => { done(false, error.message); }); // prettier-ignore
  });
}

/** grpc.health.v1.Health/Check; SERVING is field 1 = 1. */
function grpcHealth(
  at: { ip: string; port: number; service?: string },
  timeoutMs: number,
): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const session = http2Connect(`http://${at.ip}:${at.port}`);
    const done = (ok: boolean, message: string): void => {
      clearTimeout(timer);
      session.destroy();
      resolve({ ok, message });
    };
    const timer = setTimeout(() => { done(false, "no answer in time"); }, timeoutMs); // prettier-ignore
    session.on("error", (error: Error) => { done(false, error.message); }); // prettier-ignore
    const stream = session.request({
      ":method": "POST",
      ":path": "/grpc.health.v1.Health/Check",
      "content-type": "application/grpc",
      te: "trailers",
    });
    stream.on("error", (error: Error) => { done(false, error.message); }); // prettier-ignore
    const service = Buffer.from(at.service ?? "").subarray(0, 127);
    const message =
      service.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a, service.length]), service]);
    stream.end(Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), message]));
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("end", () => {
      const body = Buffer.concat(chunks).subarray(5);
      done(body[0] === 0x08 && body[1] === 1, "the gRPC health service doesn't say SERVING");
    });
  });
}
