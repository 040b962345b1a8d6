import { expect } from "chai";
import { duplexPair } from "node:stream";
import type { ExecClient } from "./exec-client.ts";
import { serveSpdyExec } from "./exec-spdy.ts";
import { splitFrames, synStreamFrame, type SpdyFrame } from "./spdy-frames.ts";
import { SpdyHeaderCodec } from "./spdy-headers.ts";

const request = { command: ["true"], stdin: false, stdout: true, stderr: true, tty: true };

describe("exec over SPDY", () => {
  it("starts a command in a terminal for a client that opens a stream of errors and none of sizes", async () => {
    const [server, client] = duplexPair();
    const started = new Promise<ExecClient>((resolve) => { serveSpdyExec(server, request, resolve); }); // prettier-ignore
    const codec = new SpdyHeaderCodec();
    const frames: SpdyFrame[] = [];
    let rest: Buffer = Buffer.alloc(0);
    client.on("data", (bytes: Buffer) => {
      const split = splitFrames(Buffer.concat([rest, bytes]));
      rest = split.rest;
      frames.push(...split.frames);
    });
    const ended = new Promise((resolve) => client.on("end", resolve));
    for (const [index, streamtype] of ["error", "stdout", "stderr"].entries())
      client.write(synStreamFrame(2 * index + 1, await codec.encode({ streamtype })));

    const command = await started;
    expect(command.stderr, "errors go to the terminal").to.equal(undefined);
    command.stdout?.end("hello");
    command.finish(3);
    await ended;
    const said = (stream: number): string =>
      Buffer.concat(
        frames.flatMap((frame) => (frame.kind === "data" && frame.stream === stream ? [frame.data] : [])),
      ).toString();
    expect(said(3)).to.equal("hello");
    expect(said(1)).to.include('"message":"3"');
    const closed = frames.flatMap((frame) => (frame.kind === "data" && frame.fin ? [frame.stream] : []));
    expect(closed.sort(), "a client waits for the end of each").to.deep.equal([1, 3, 5]);
    codec.close();
    client.destroy();
  });

  it("refuses streams that exec has none of", async () => {
    const [server, client] = duplexPair();
    serveSpdyExec(server, request, () => undefined);
    const codec = new SpdyHeaderCodec();
    const frame = new Promise<SpdyFrame | undefined>((resolve) => {
      client.once("data", (bytes: Buffer) => { resolve(splitFrames(bytes).frames[0]); }); // prettier-ignore
    });
    client.write(synStreamFrame(1, await codec.encode({ streamtype: "data" })));
    expect(await frame).to.deep.equal({ kind: "reset", stream: 1 });
    codec.close();
    client.destroy();
    server.destroy();
  });
});
