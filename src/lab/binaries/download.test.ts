import { expect } from "chai";
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { download, DownloadError, downloadText } from "./download.ts";

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

describe("download", () => {
  const content = randomBytes(300_000);
  const checksum = { algorithm: "sha256", hex: createHash("sha256").update(content).digest("hex") } as const;
  let folder: string;
  let file: string;
  let server: Server | undefined;
  let ranges: (string | undefined)[];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "mc-wan-download-"));
    file = join(folder, "program");
    ranges = [];
  });
  afterEach(async () => {
    server?.closeAllConnections();
    server?.close();
    server = undefined;
    await rm(folder, { recursive: true, force: true });
  });

  /** Waits until the partial file holds so many bytes, at most 5 s. */
  async function partHas(bytes: number): Promise<void> {
    for (let tries = 0; tries < 1000; tries++) {
      const size = await stat(`${file}.part`).then(
        (found) => found.size,
        () => 0,
      );
      if (size >= bytes) return;
      await sleep(5);
    }
  }

  async function serve(handler: Handler): Promise<string> {
    const listening = createServer((request, response) => {
      ranges.push(request.headers.range);
      handler(request, response);
    });
    server = listening;
    await new Promise<void>((resolve) => listening.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(listening.address() as AddressInfo).port}/program`;
  }

  /** Serves ranges, but breaks the connection once `limit` bytes of an answer are in the client's file. */
  function cuttingOff(limit: number): Handler {
    return (request, response) => {
      const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
      const status = request.headers.range === undefined ? 200 : 206;
      response.writeHead(status, {
        "content-length": content.length - from,
        "content-range": `bytes ${from}-${content.length - 1}/${content.length}`,
      });
      response.write(content.subarray(from, from + limit), () => {
        if (from + limit >= content.length) response.end();
        // A client that is slow would lose what it has read but not yet written.
        else
          void partHas(from + limit).then(() => {
            response.destroy();
          });
      });
    };
  }

  it("goes on by Range where the connection broke, and leaves no partial file", async () => {
    const url = await serve(cuttingOff(120_000));
    await download({ url, file, checksum });
    expect(await readFile(file)).to.deep.equal(content);
    expect(ranges).to.deep.equal([undefined, "bytes=120000-", "bytes=240000-"]);
    expect(await stat(`${file}.part`).catch(() => undefined)).to.equal(undefined);
  });

  it("goes on from what an earlier run left", async () => {
    await writeFile(`${file}.part`, content.subarray(0, 200_000));
    const url = await serve(cuttingOff(content.length));
    await download({ url, file, checksum });
    expect(ranges).to.deep.equal(["bytes=200000-"]);
    expect(await readFile(file)).to.deep.equal(content);
  });

  it("starts anew when the server knows no ranges", async () => {
    await writeFile(`${file}.part`, content.subarray(0, 200_000));
    const url = await serve((_request, response) => response.end(content));
    await download({ url, file, checksum });
    expect(await readFile(file)).to.deep.equal(content);
  });

  it("takes a complete partial file, which the server answers with 416", async () => {
    await writeFile(`${file}.part`, content);
    const url = await serve((_request, response) => response.writeHead(416).end());
    await download({ url, file, checksum });
    expect(await readFile(file)).to.deep.equal(content);
  });

  it("refuses content with another checksum and keeps nothing of it", async () => {
    const url = await serve((_request, response) => response.end("something else"));
    const error = await download({ url, file, checksum }).catch((caught: unknown) => caught);
    expect(error).to.be.instanceOf(DownloadError);
    expect((error as Error).message)
      .to.contain("sha256 is")
      .and.not.contain("\n");
    expect(await stat(file).catch(() => undefined)).to.equal(undefined);
    expect(await stat(`${file}.part`).catch(() => undefined)).to.equal(undefined);
  });

  it("gives up after four attempts that brought nothing, and keeps what it has for the next run", async () => {
    const url = await serve((request, response) => {
      cuttingOff(ranges.length === 1 ? 1_000 : 0)(request, response);
    });
    const error = await download({ url, file, checksum }).catch((caught: unknown) => caught);
    expect(error).to.be.instanceOf(DownloadError);
    expect(ranges.length).to.equal(1 + 4);
    expect((await stat(`${file}.part`)).size).to.equal(1_000);
  });

  it("says what an HTTP error is, and asks an unreachable server only once", async () => {
    const url = await serve((_request, response) => response.writeHead(404).end());
    expect(String(await downloadText(url).catch((caught: unknown) => caught))).to.contain("HTTP 404");
    server?.closeAllConnections();
    await new Promise((resolve) => server?.close(resolve));
    const first = String(await downloadText(url).catch((caught: unknown) => caught));
    expect(first).to.contain("can't be reached (ECONNREFUSED)");
    expect(String(await downloadText(url).catch((caught: unknown) => caught))).to.equal(first);
  });
});
