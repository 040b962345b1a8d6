/**
 * SPDY/3.1 header blocks: names and values in a zlib stream that goes on over all blocks of a direction and begins with a
 * dictionary. Source: draft-mbelshe-httpbis-spdy-00, section 2.6.10.
 */
import { constants, createDeflate, createInflate, type Deflate, type Inflate } from "node:zlib";

// The dictionary is part of the protocol: these words, each after its length in four bytes, then the text.
const WORDS =
  "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow " +
  "authorization cache-control connection content-base content-encoding content-language content-length content-location " +
  "content-md5 content-range content-type date etag expect expires from host if-match if-modified-since if-none-match if-range " +
  "if-unmodified-since last-modified location max-forwards pragma proxy-authenticate proxy-authorization range referer " +
  "retry-after server te trailer transfer-encoding upgrade user-agent vary via warning www-authenticate method get status " +
  "200_OK version HTTP/1.1 url public set-cookie keep-alive origin";
const TEXT =
  "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative " +
  "Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 Internal Server " +
  "Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, " +
  "Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain," +
  "text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

function lengthPrefixed(text: string): Buffer {
  const bytes = Buffer.from(text);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** The 1423 bytes that both directions begin with. */
export const SPDY_DICTIONARY = Buffer.concat([
  ...WORDS.split(" ").map((word) => lengthPrefixed(word.replace("_", " "))),
  Buffer.from(TEXT),
]);

/** Names (lower case) and values; a repeated name's values are joined by NUL as the protocol has them. */
export type SpdyHeaders = Readonly<Record<string, string>>;

/** Reads an uncompressed block. Throws RangeError when it is cut short. */
export function parseHeaderBlock(block: Buffer): SpdyHeaders {
  const headers: Record<string, string> = {};
  let at = 4;
  const text = (): string => {
    const end = at + 4 + block.readUInt32BE(at);
    const value = block.toString("utf8", at + 4, end);
    at = end;
    return value;
  };
  for (let left = block.readUInt32BE(0); left > 0; left -= 1) {
    const name = text();
    headers[name.toLowerCase()] = text();
  }
  return headers;
}

/** Writes an uncompressed block. */
export function headerBlock(headers: SpdyHeaders): Buffer {
  const count = Buffer.alloc(4);
  count.writeUInt32BE(Object.keys(headers).length);
  return Buffer.concat([
    count,
    ...Object.entries(headers).flatMap(([name, value]) => [lengthPrefixed(name), lengthPrefixed(value)]),
  ]);
}

/** The two zlib streams of one connection. Blocks must be given in the order of their frames, each after the one before is done. */
export class SpdyHeaderCodec {
  readonly #inflate: Inflate = createInflate({
    dictionary: SPDY_DICTIONARY,
    finishFlush: constants.Z_SYNC_FLUSH,
  });
  readonly #deflate: Deflate = createDeflate({ dictionary: SPDY_DICTIONARY });

  /** From a frame's bytes to headers. Rejects on bytes that are no such stream. */
  async decode(block: Buffer): Promise<SpdyHeaders> {
    return parseHeaderBlock(await through(this.#inflate, block));
  }

  /** From headers to a frame's bytes. */
  async encode(headers: SpdyHeaders): Promise<Buffer> {
    return through(this.#deflate, headerBlock(headers));
  }

  /** Frees the streams' memory. */
  close(): void {
    this.#inflate.close();
    this.#deflate.close();
  }
}

function through(stream: Inflate | Deflate, block: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const collect = (chunk: Buffer): void => void chunks.push(chunk);
    const done = (error?: Error | null): void => {
      stream.off("data", collect);
      stream.off("error", done);
      if (error instanceof Error) reject(error);
      else resolve(Buffer.concat(chunks));
    };
    stream.on("data", collect);
    stream.once("error", done);
    stream.write(block);
    stream.flush(constants.Z_SYNC_FLUSH, () => { done(); }); // prettier-ignore
  });
}
