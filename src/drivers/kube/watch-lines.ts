/**
 * Bytes of a watch stream to lines. Pieces may end anywhere, inside of a character as well. Never holds more than one
 * line of the longest allowed length.
 */
import { MalformedLineError } from "../../observe/kube-reader.ts";

/** Longer than any object can be in etcd (1.5 MB), as JSON with escapes and managed fields. */
const maxLineBytes = 16 * 1024 * 1024;

const newline = 0x0a;

/** Collects pieces, gives back whole lines. */
export class LineSplitter {
  readonly #max: number;
  #rest: Uint8Array[] = [];
  #restBytes = 0;

  constructor(options: { readonly maxLineBytes?: number } = {}) {
    this.#max = options.maxLineBytes ?? maxLineBytes;
  }

  /**
   * The lines that this piece completes, as parsed JSON. Empty lines are left out.
   * @throws MalformedLineError if a line is too long, is not UTF-8 or no JSON.
   */
  push(piece: Uint8Array): unknown[] {
    const lines: unknown[] = [];
    let start = 0;
    for (let end = piece.indexOf(newline); end >= 0; end = piece.indexOf(newline, start)) {
      this.#keep(piece.subarray(start, end));
      start = end + 1;
      const line = this.#take();
      if (line.length > 0) lines.push(parseLine(line));
    }
    this.#keep(piece.subarray(start));
    return lines;
  }

  #keep(bytes: Uint8Array): void {
    this.#restBytes += bytes.length;
    if (this.#restBytes > this.#max) throw new MalformedLineError("a line of a watch is too long");
    if (bytes.length > 0) this.#rest.push(bytes);
  }

  #take(): Uint8Array {
    const [first] = this.#rest;
    const line = this.#rest.length === 1 && first !== undefined ? first : Buffer.concat(this.#rest);
    this.#rest = [];
    this.#restBytes = 0;
    return line;
  }
}

function parseLine(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    // The cause of a JSON error quotes the line, which may be a Secret's.
    throw new MalformedLineError("a line of a watch is no JSON", { cause: new Error((cause as Error).name) });
  }
}
