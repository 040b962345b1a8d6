/**
 * What one run of a container prints: a file of time-stamped lines, with readers that may follow. Writes are synchronous on
 * purpose: a reader that starts in between sees each line exactly once.
 *
 * Line of the file: `<RFC 3339 time> <text>`. At 20 MB the file moves to `<file>.1` and a new one begins.
 */
import { closeSync, existsSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { StringDecoder } from "node:string_decoder";
import type { Readable } from "node:stream";

const MOST_BYTES = 20 * 1024 * 1024;
/** A longer line is cut in pieces, as container runtimes do. */
const LONGEST_LINE = 16 * 1024;

/** What of a log is wanted, by the query of the kubelet API. */
export interface LogQuery {
  readonly tailLines?: number;
  readonly sinceTime?: Date;
  readonly limitBytes?: number;
  readonly timestamps: boolean;
}

/** Cuts a log's text to what was asked for. PURE. */
export function selectLog(text: string, query: LogQuery): string {
  let lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  const { sinceTime, tailLines, limitBytes } = query;
  if (sinceTime !== undefined) {
    const since = sinceTime.toISOString();
    lines = lines.filter((line) => line.slice(0, since.length) >= since);
  }
  if (tailLines !== undefined) lines = tailLines === 0 ? [] : lines.slice(-tailLines);
  const shown = lines.map((line) => `${presentLine(line, query)}\n`).join("");
  return limitBytes === undefined ? shown : Buffer.from(shown).subarray(0, limitBytes).toString();
}

function presentLine(line: string, { timestamps }: LogQuery): string {
  return timestamps ? line : line.slice(line.indexOf(" ") + 1);
}

/** One run's log. */
export class ContainerLog {
  readonly #file: string;
  readonly #readers = new Set<{ line: (line: string) => void; end: () => void }>();
  #descriptor: number;
  #bytes = 0;
  #open = true;

  constructor(file: string) {
    this.#file = file;
    this.#descriptor = openSync(file, "a");
  }

  /** Takes everything that a stream gives, line by line. */
  take(stream: Readable): void {
    const decoder = new StringDecoder("utf8");
    let rest = "";
    stream.on("data", (chunk: Buffer) => {
      const parts = (rest + decoder.write(chunk)).split("\n");
      rest = parts.pop() ?? "";
      while (rest.length > LONGEST_LINE) {
        parts.push(rest.slice(0, LONGEST_LINE));
        rest = rest.slice(LONGEST_LINE);
      }
      this.append(parts);
    });
    stream.on("end", () => {
      if (rest !== "") this.append([rest]);
    });
    stream.on("error", () => undefined);
  }

  /** Adds lines with the present time. */
  append(lines: readonly string[]): void {
    if (!this.#open || lines.length === 0) return;
    const now = new Date().toISOString();
    const stamped = lines.map((line) => `${now} ${line}`);
    this.#bytes += writeSync(this.#descriptor, `${stamped.join("\n")}\n`);
    for (const reader of this.#readers) stamped.forEach(reader.line);
    if (this.#bytes > MOST_BYTES) this.#rotate();
  }

  /** What is there now, by the query. */
  read(query: LogQuery): string {
    const files = [`${this.#file}.1`, this.#file].filter((file) => existsSync(file));
    return selectLog(files.map((file) => readFileSync(file, "utf8")).join(""), query);
  }

  /** What is there now, then each line as it comes, until the run ends. Returns a function that stops it. */
  follow(query: LogQuery, sink: { write: (text: string) => void; end: () => void }): () => void {
    sink.write(this.read(query));
    if (!this.#open) {
      sink.end();
      return () => undefined;
    }
    const reader = { line: (line: string) => { sink.write(`${presentLine(line, query)}\n`); }, end: sink.end }; // prettier-ignore
    this.#readers.add(reader);
    return () => this.#readers.delete(reader);
  }

  /** The run is over: followers end, the file stays. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    closeSync(this.#descriptor);
    for (const { end } of this.#readers) end();
    this.#readers.clear();
  }

  /** The last text, for `terminationMessagePolicy: FallbackToLogsOnError` and for error messages. */
  tail(lines: number): string {
    return this.read({ tailLines: lines, timestamps: false }).slice(-2048).trim();
  }

  #rotate(): void {
    closeSync(this.#descriptor);
    renameSync(this.#file, `${this.#file}.1`);
    this.#descriptor = openSync(this.#file, "a");
    this.#bytes = 0;
  }
}
