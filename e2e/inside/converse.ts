/**
 * Talks with a server that echoes bytes: a word, silence, a word, then many bytes and the client's end first. Prints what
 * came back.
 *
 *     converse <host> <port> <silence in ms> <bytes>
 *
 * Runs in a Pod, given on standard input: imports nothing but Node's own.
 */
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

const [, , host = "", port = "", silenceMs = "", bytes = ""] = process.argv;
const chunk = randomBytes(1024 * 1024);

/** What came of it. */
export interface Conversation {
  /** Words that came back as they were said. */
  readonly words: number;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  /** SHA-256. */
  readonly sent: string;
  readonly received: string;
  /** Whether the server's end came last, in order. */
  readonly isEnded: boolean;
  readonly transferMs: number;
  readonly error: string;
}

const limitMs = 120_000;
const [sent, received] = [createHash("sha256"), createHash("sha256")];
let words = 0;
let sentBytes = 0;
let receivedBytes = 0;
let isEnded = false;
let error = "";
let beginMs = 0;

const socket = connect({ host, port: Number(port), allowHalfOpen: true });
socket.on("error", (cause: Error & { code?: string }) => {
  error = cause.code ?? cause.message;
});

async function say(word: string): Promise<void> {
  socket.write(word);
  const [answer] = (await once(socket, "data")) as [Buffer];
  if (answer.toString() === word) words += 1;
}

/** All at once, as fast as it is taken; then this side's end. */
async function sendAll(): Promise<void> {
  for (let left = Number(bytes); left > 0; left -= chunk.length) {
    const part = left >= chunk.length ? chunk : chunk.subarray(0, left);
    // No two pieces are alike, so that none can stand for another.
    if (part.length >= 8) part.writeDoubleBE(left, 0);
    sent.update(part);
    sentBytes += part.length;
    const copy = Buffer.from(part);
    if (!socket.write(copy)) await once(socket, "drain");
  }
  socket.end();
}

async function receiveAll(): Promise<void> {
  for await (const part of socket as AsyncIterable<Buffer>) {
    received.update(part);
    receivedBytes += part.length;
  }
  isEnded = true;
}

async function converse(): Promise<void> {
  await once(socket, "connect");
  await say("first word");
  await sleep(Number(silenceMs));
  await say("second word");
  beginMs = performance.now();
  await Promise.all([sendAll(), receiveAll()]);
}

await Promise.race([
  converse().catch((cause: unknown) => {
    error ||= cause instanceof Error ? cause.message : String(cause);
  }),
  sleep(limitMs).then(() => {
    error ||= `it took more than ${limitMs} ms`;
  }),
]);
const transferMs = Math.round(performance.now() - beginMs);
const [sentHash, receivedHash] = [sent.digest("hex"), received.digest("hex")];
const result: Conversation = {
  ...{ words, sentBytes, receivedBytes, sent: sentHash, received: receivedHash },
  ...{ isEnded, transferMs, error },
};
process.stdout.write(`${JSON.stringify(result)}\n`);
process.exit(0);
