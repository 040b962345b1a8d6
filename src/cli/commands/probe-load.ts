/**
 * The traffic of `mcwan probe`: a bounded number of HTTP/1.1 requests, at a bounded rate, so many at once.
 *
 *     rate → slots in time → workers → one URL → ProbeRecord
 *
 * Never retries and never follows a redirect: a failure is what one wants to see.
 */
import { Agent, request as send } from "node:http";
import type { ClientRequest, IncomingMessage } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { ProbeRecord } from "./probe-summary.ts";
import type { Outcome, Summary } from "./probe-summary.ts";

/** What to send. */
export interface Load {
  /** Of scheme http. */
  readonly url: URL;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Length of each request's body. */
  readonly bodyBytes: number;
  /** Ends after so many requests… */
  readonly count: number;
  /** …or so many milliseconds, whichever comes first. */
  readonly durationMs: number;
  /** Requests per second; Infinity: as fast as answers come. */
  readonly rate: number;
  /** How many requests may be under way at once. */
  readonly concurrency: number;
  /** Whether requests share connections; else each has its own. */
  readonly keepAlive: boolean;
  /** Limit for one request. */
  readonly timeoutMs: number;
}

/** Later than this after its time, a request counts as late. */
const lateMs = 50;

/** Sends the load and says what came of it. An abort of the signal ends it early; what is under way is counted as failed. */
export async function runLoad(load: Load, signal: AbortSignal): Promise<Summary> {
  const record = new ProbeRecord();
  const agent = new Agent({ keepAlive: load.keepAlive, maxSockets: load.concurrency });
  const startedAt = new Date();
  const start = performance.now();
  const body = Buffer.alloc(load.bodyBytes, "mc-wan ");
  const length = body.length > 0 ? { "content-length": String(body.length) } : {};
  const run: Run = { agent, headers: { ...load.headers, ...length }, body, signal, start };
  const stop = (): void => {
    agent.destroy();
  };
  signal.addEventListener("abort", stop, { once: true });
  let next = 0;
  const worker = async (): Promise<void> => {
    for (;;) {
      const index = next;
      const dueMs = (index * 1000) / load.rate;
      if (index >= load.count || dueMs >= load.durationMs || signal.aborted) return;
      next += 1;
      const waitMs = dueMs - (performance.now() - start);
      if (waitMs > 0) await sleep(waitMs, undefined, { signal }).catch(() => undefined);
      else if (Number.isFinite(load.rate) && waitMs < -lateMs) record.late += 1;
      if (isOver()) return;
      record.add(await exchange(load, run));
    }
  };
  const isOver = (): boolean => signal.aborted || performance.now() - start >= load.durationMs;
  try {
    await Promise.all(Array.from({ length: Math.min(load.concurrency, load.count) }, worker));
  } finally {
    signal.removeEventListener("abort", stop);
    agent.destroy();
  }
  return record.summary({ url: load.url.href, startedAt, durationMs: performance.now() - start });
}

interface Run {
  readonly agent: Agent;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  readonly signal: AbortSignal;
  readonly start: number;
}

/** One request. Never throws. */
async function exchange(load: Load, run: Run): Promise<Outcome> {
  const begin = performance.now();
  const atMs = begin - run.start;
  let bytes = 0;
  const request = send(load.url, { method: load.method, headers: run.headers, agent: run.agent });
  const limit = { isOver: false };
  const timer = setTimeout(() => {
    limit.isOver = true;
    request.destroy();
  }, load.timeoutMs);
  try {
    const response = await responseTo(request, run.body);
    for await (const part of response as AsyncIterable<Buffer>) bytes += part.length;
    const servedBy = response.headers["x-served-by"];
    return {
      form: "Answered",
      atMs,
      latencyMs: performance.now() - begin,
      bytes,
      status: response.statusCode ?? 0,
      servedBy: typeof servedBy === "string" ? servedBy : undefined,
    };
  } catch (error) {
    const reason = limit.isOver ? "timeout" : run.signal.aborted ? "stopped" : reasonOf(error);
    return { form: "Failed", atMs, latencyMs: performance.now() - begin, bytes, reason };
  } finally {
    clearTimeout(timer);
  }
}

function responseTo(request: ClientRequest, body: Buffer): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.on("response", resolve).on("error", reject);
    request.end(body);
  });
}

/** The system's word for it, as `ECONNREFUSED`, else the error's message. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return "code" in error && typeof error.code === "string" ? error.code : error.message;
}
