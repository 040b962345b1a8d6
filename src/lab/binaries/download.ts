/**
 * Downloads one file over HTTP: checked, resumed by Range where a run before was cut off, and put in place by a rename.
 * A server that can't be reached is asked once in a run and then left alone. The user's proxy settings hold.
 */

import { createWriteStream } from "node:fs";
import { mkdir, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { EnvHttpProxyAgent, fetch, type Response } from "undici";
import { fileHash, syncToDisk } from "./cache.ts";

const connectTimeoutMs = 5_000;
const idleTimeoutMs = 60_000;
/** How many attempts in a row may bring nothing. */
const vainLimit = 4;

/** A file that must be had, and what it must be. */
export interface Download {
  readonly url: string;
  /** Where it goes; `<file>.part` beside it holds what has come so far. */
  readonly file: string;
  readonly checksum: Checksum;
  readonly signal?: AbortSignal | undefined;
  /** Gets the bytes so far and in all (undefined when the server doesn't say). */
  readonly onBytes?: ((bytes: number, total: number | undefined) => void) | undefined;
}

/** A hash in lower-case hexadecimal. */
interface Checksum {
  readonly algorithm: "sha256" | "sha512";
  readonly hex: string;
}

/** The download can't be had: unreachable, refused, or not what it should be. Its message is one line. */
export class DownloadError extends Error {
  override readonly name = "DownloadError";
}

/** A connection that broke: worth another attempt from where it stopped. */
class CutOffError extends Error {
  override readonly name = "CutOffError";
}

const unreachable = new Map<string, string>();
let agent: EnvHttpProxyAgent | undefined;

/**
 * Fetches the file, continuing a partial one.
 * @throws DownloadError when it can't be had or its checksum differs (the partial file is then removed).
 */
export async function download(wanted: Download): Promise<void> {
  await mkdir(dirname(wanted.file), { recursive: true });
  const part = `${wanted.file}.part`;
  let vainAttempts = 0;
  for (;;) {
    const before = await sizeOf(part);
    try {
      await fetchRest(wanted, part);
      break;
    } catch (cause) {
      wanted.signal?.throwIfAborted();
      if (!(cause instanceof CutOffError)) throw cause;
      // A connection that breaks often but brings something each time gets there.
      vainAttempts = (await sizeOf(part)) > before ? 0 : vainAttempts + 1;
      if (vainAttempts === vainLimit)
        throw new DownloadError(`${wanted.url}: cut off ${vainLimit} times: ${cause.message}`, { cause });
    }
  }
  const hex = await fileHash(part, wanted.checksum.algorithm);
  if (hex !== wanted.checksum.hex) {
    await rm(part, { force: true });
    throw new DownloadError(
      `${wanted.url}: ${wanted.checksum.algorithm} is ${hex}, not ${wanted.checksum.hex}`,
    );
  }
  await syncToDisk(part);
  await rename(part, wanted.file);
}

/** A small text, as a list of checksums. @throws DownloadError */
export async function downloadText(url: string, signal?: AbortSignal): Promise<string> {
  const response = await ask(url, {}, signal);
  if (!response.ok) throw new DownloadError(`${url}: HTTP ${response.status}`);
  return await response.text();
}

async function fetchRest(wanted: Download, part: string): Promise<void> {
  const have = await sizeOf(part);
  const response = await ask(wanted.url, have > 0 ? { range: `bytes=${have}-` } : {}, wanted.signal);
  // 416: nothing lies behind what we have, so we have all of it, or too much, which the checksum will tell.
  if (response.status === 416) {
    await response.body?.cancel();
    return;
  }
  if (!response.ok || response.body === null)
    throw new DownloadError(`${wanted.url}: HTTP ${response.status}`);
  const resumed = response.status === 206 && startOfRange(response) === have;
  if (response.status === 206 && !resumed) {
    await response.body.cancel();
    await rm(part, { force: true });
    throw new CutOffError("the server answered with another range");
  }
  let bytes = resumed ? have : 0;
  const length = Number(response.headers.get("content-length") ?? Number.NaN);
  const total = Number.isFinite(length) ? bytes + length : undefined;
  try {
    const source = Readable.fromWeb(response.body);
    source.on("data", (chunk: Uint8Array) => {
      bytes += chunk.length;
      wanted.onBytes?.(bytes, total);
    });
    await pipeline(source, createWriteStream(part, { flags: resumed ? "a" : "w" }), {
      signal: wanted.signal,
    });
  } catch (cause) {
    throw new CutOffError(reasonOf(cause), { cause });
  }
  if (total !== undefined && bytes < total) throw new CutOffError(`${bytes} of ${total} bytes`);
}

async function ask(
  url: string,
  headers: Record<string, string>,
  signal: AbortSignal | undefined,
): Promise<Response> {
  const { host } = new URL(url);
  const known = unreachable.get(host);
  if (known !== undefined) throw new DownloadError(known);
  agent ??= new EnvHttpProxyAgent({
    connect: { timeout: connectTimeoutMs },
    headersTimeout: idleTimeoutMs,
    bodyTimeout: idleTimeoutMs,
  });
  try {
    // identity: a compressed body would make Range and length mean something else.
    return await fetch(url, {
      dispatcher: agent,
      headers: { "accept-encoding": "identity", ...headers },
      signal: signal ?? null,
    });
  } catch (cause) {
    signal?.throwIfAborted();
    const message = `${host} can't be reached (${reasonOf(cause)})`;
    unreachable.set(host, message);
    throw new DownloadError(message, { cause });
  }
}

/** The innermost reason: fetch wraps the interesting one. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.cause instanceof Error) return reasonOf(error.cause);
  return "code" in error && typeof error.code === "string" ? error.code : error.message;
}

function startOfRange(response: Response): number | undefined {
  const match = /^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "");
  return match === null ? undefined : Number(match[1]);
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch {
    return 0;
  }
}
