/**
 * A connection that speaks SPDY/3.1 with a client of Kubernetes: what the client opens comes out as ordinary streams. Flow control
 * windows are not kept, since those clients keep none: a slow reader holds the whole connection back.
 *
 *     client ── bytes (a socket, or a WebSocket as one) ── SpdyConnection ──> one Duplex per SYN_STREAM, with its headers
 */
import { Duplex } from "node:stream";
import {
  dataFrame,
  pingFrame,
  resetFrame,
  splitFrames,
  synReplyFrame,
  type SpdyFrame,
} from "./spdy-frames.ts";
import { SpdyHeaderCodec, type SpdyHeaders } from "./spdy-headers.ts";

/** Data of one write goes into frames of at most this, so that other streams get their turn. */
const LONGEST_WRITE = 256 * 1024;

/** A stream that the client has opened. Ending it sends FIN; it ends when the client sends one. */
export class SpdyStream extends Duplex {
  readonly #id: number;
  readonly #transport: Duplex;
  readonly #wanted: () => void;

  constructor(id: number, transport: Duplex, wanted: () => void) {
    super({ allowHalfOpen: true });
    this.#id = id;
    this.#transport = transport;
    this.#wanted = wanted;
  }

  override _read(): void {
    this.#wanted();
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    if (!this.#transport.writable) {
      done(new Error("the client has gone"));
      return;
    }
    const frames: Buffer[] = [];
    for (let at = 0; at < chunk.length; at += LONGEST_WRITE)
      frames.push(dataFrame(this.#id, chunk.subarray(at, at + LONGEST_WRITE), false));
    this.#transport.write(Buffer.concat(frames), done);
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.#transport.writable)
      this.#transport.write(dataFrame(this.#id, Buffer.alloc(0), true), () => { done(); }); // prettier-ignore
    else done();
  }
}

/** Takes the transport over. `onStream` gets each stream that the client opens, with its headers, and says whether it is wanted. */
export class SpdyConnection {
  readonly #transport: Duplex;
  readonly #onStream: (stream: SpdyStream, headers: SpdyHeaders) => boolean;
  readonly #codec = new SpdyHeaderCodec();
  readonly #streams = new Map<number, SpdyStream>();
  #rest: Buffer = Buffer.alloc(0);
  /** Frames are handled one after the other: header blocks share a zlib stream. */
  #work: Promise<void> = Promise.resolve();

  constructor(transport: Duplex, onStream: (stream: SpdyStream, headers: SpdyHeaders) => boolean) {
    this.#transport = transport;
    this.#onStream = onStream;
    transport.on("data", (bytes: Buffer) => { this.#take(bytes); }); // prettier-ignore
    transport.on("error", () => undefined);
    transport.on("end", () => transport.end());
    transport.on("close", () => {
      for (const stream of this.#streams.values()) stream.destroy();
      void this.#work.finally(() => { this.#codec.close(); }); // prettier-ignore
    });
  }

  /** Ends the connection once all that was written is out. */
  close(): void {
    this.#transport.end();
  }

  #take(bytes: Buffer): void {
    const { frames, rest } = splitFrames(Buffer.concat([this.#rest, bytes]));
    this.#rest = rest;
    for (const frame of frames) {
      this.#work = this.#work.then(() => this.#handle(frame)).catch(() => { this.#transport.destroy(); }); // prettier-ignore
    }
  }

  async #handle(frame: SpdyFrame): Promise<void> {
    switch (frame.kind) {
      case "syn-stream":
        await this.#open(frame);
        return;
      case "headers":
        // Read for the sake of the zlib stream's state.
        await this.#codec.decode(frame.headers);
        return;
      case "data":
        this.#data(frame);
        return;
      case "reset":
        this.#streams.get(frame.stream)?.destroy();
        return;
      case "ping":
        this.#transport.write(pingFrame(frame.id));
        return;
      case "go-away":
        this.close();
        return;
      case "other":
        return;
    }
  }

  async #open({ stream: id, headers: block, fin }: SpdyFrame & { kind: "syn-stream" }): Promise<void> {
    const headers = await this.#codec.decode(block);
    const stream = new SpdyStream(id, this.#transport, () => this.#transport.resume());
    stream.on("error", () => undefined);
    stream.on("close", () => this.#streams.delete(id));
    if (this.#streams.has(id) || !this.#onStream(stream, headers)) {
      this.#transport.write(resetFrame(id));
      return;
    }
    this.#streams.set(id, stream);
    this.#transport.write(synReplyFrame(id, await this.#codec.encode({})));
    if (fin) stream.push(null);
  }

  #data({ stream: id, data, fin }: SpdyFrame & { kind: "data" }): void {
    const stream = this.#streams.get(id);
    if (stream === undefined || stream.destroyed || stream.readableEnded) return;
    if (data.length > 0 && !stream.push(data)) this.#transport.pause();
    if (fin) stream.push(null);
  }
}
