import { expect } from "chai";
import { createHash, randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { WireQuality } from "./packet-queue.ts";
import { echoWords, median, probeWords, type ProbeResult } from "./test-probe.ts";
import { RIGHT, startTestWire, type TestWire } from "./test-wire.ts";

const PORT = 9;
const BYTES = 10_000_000;

/** Takes one connection, prints how many bytes came and their digest, and answers as many of its own. */
const SINK = `
const { createHash } = require("node:crypto");
require("node:net").createServer({ allowHalfOpen: true }, (socket) => {
  const hash = createHash("sha256");
  let length = 0;
  socket.on("data", (chunk) => { length += chunk.length; hash.update(chunk); });
  socket.on("end", () => socket.end(length + " " + hash.digest("hex")));
}).listen(9001, () => console.log("listening"));`;

/** Sends its standard input and prints the answer. */
const SOURCE = `
const socket = require("node:net").connect({ host: process.argv[1], port: 9001, allowHalfOpen: true });
process.stdin.on("data", (text) => socket.write(Buffer.from(text.toString(), "latin1")));
process.stdin.on("end", () => socket.end());
socket.pipe(process.stdout);`;

describe("the user-space wire", function () {
  this.timeout(120_000);
  let ends: TestWire;

  before(async () => {
    ends = await startTestWire({ seed: 7 });
    await ends.start("right", echoWords(PORT));
    await ends.start("right", [process.execPath, "-e", SINK]);
  });

  after(() => {
    ends.stop();
  });

  const probe = async (count: number, gapMs = 4): Promise<ProbeResult> =>
    JSON.parse(await ends.at("left", probeWords({ host: RIGHT, port: PORT, count, gapMs }))) as ProbeResult;

  /** That BYTES of TCP arrive as they were sent. */
  const expectIntact = async (quality: Partial<WireQuality>): Promise<void> => {
    await ends.set(quality);
    const bytes = Buffer.from(randomBytes(BYTES).map((byte) => byte & 0x7f));
    const answer = await ends.at("left", [process.execPath, "-e", SOURCE, RIGHT], bytes.toString("latin1"));
    expect(answer).to.equal(`${BYTES} ${createHash("sha256").update(bytes).digest("hex")}`);
  };

  it("carries packets at once where no quality is asked for", async () => {
    await ends.set({});
    const { rttMs } = await probe(100);
    expect(rttMs).to.have.length(100);
    expect(median(rttMs)).to.be.below(10);
  });

  it("delays each direction by what it was told", async () => {
    await ends.set({ delayMs: 20 });
    const { rttMs } = await probe(100);
    expect(rttMs).to.have.length(100);
    expect(Math.min(...rttMs)).to.be.within(40, 44);
    expect(median(rttMs)).to.be.below(55);
    await ends.set({ delayMs: 30 }, {});
    const oneWay = (await probe(50)).rttMs;
    expect(Math.min(...oneWay)).to.be.within(30, 34);
  });

  it("spreads the delay within the jitter and keeps the order", async () => {
    await ends.set({ delayMs: 20, jitterMs: 8 }, {});
    const { rttMs, order } = await probe(200, 20);
    expect(Math.min(...rttMs)).to.be.within(12, 17);
    expect(Math.max(...rttMs)).to.be.above(24);
    expect(median(rttMs)).to.be.within(15, 30);
    expect(order).to.deep.equal([...order].sort((a, b) => a - b));
    // Closer together than the jitter is wide: the order would change if packets could overtake each other.
    const dense = await probe(400, 1);
    expect(dense.order).to.have.length(400);
    expect(dense.order).to.deep.equal([...dense.order].sort((a, b) => a - b));
  });

  it("loses the share that it was told, in the one direction", async () => {
    await ends.set({ lossPercent: 10 }, {});
    const { order } = await probe(2000, 1);
    // 2000 x 10 %: 200, standard deviation 13.4; five of them to each side.
    expect(2000 - order.length).to.be.within(133, 267);
  });

  it("carries TCP intact, super-packets and unfinished checksums included", async () => {
    await expectIntact({});
    await expectIntact({ delayMs: 5, jitterMs: 1 });
    await expectIntact({ delayMs: 1, lossPercent: 0.5 });
  });

  it("is started again when it is killed, and carries on with the same quality", async () => {
    await ends.set({ delayMs: 20 });
    // Only these namespaces' processes are seen in there.
    const killWire =
      'for p in /proc/[0-9]*; do if grep -qa "[w]ire/main.ts" $p/cmdline; then kill -9 ${p#/proc/}; fi; done';
    await ends.at("left", ["sh", "-c", `${killWire} 2>/dev/null; true`]);
    const state = (): string => ends.wire.state.state;
    while (state() === "running") await sleep(5);
    expect(ends.wire.state).to.deep.include({ state: "restarting", ended: "SIGKILL", restarts: 1 });
    while (state() !== "running") await sleep(20);
    const { rttMs } = await probe(50);
    expect(rttMs).to.have.length(50);
    expect(Math.min(...rttMs)).to.be.within(40, 44);
  });

  it("says which interface it can't open, and goes on with what it has", async () => {
    await ends.set({ delayMs: 20 });
    const quality = { delayMs: 0, jitterMs: 0, lossPercent: 0 };
    const failure = await ends.wire.order([
      { a: "la", b: "lb", fromA: quality, fromB: quality },
      { a: "nowhere", b: "lb", fromA: quality, fromB: quality },
    ]);
    expect(failure).to.contain("there is no interface nowhere");
    expect((await probe(20)).rttMs).to.have.length(20);
  });
});

describe("a user-space wire where koffi can't be loaded", function () {
  this.timeout(60_000);

  it("says so instead of starting again and again", async () => {
    const ends = await startTestWire({ words: ["--no-addons"] });
    try {
      const failure = await ends.set({ delayMs: 5 }).then(
        () => "",
        (error: unknown) => String(error),
      );
      expect(failure).to.contain("koffi can't be loaded");
      expect(ends.wire.state.state).to.equal("unavailable");
    } finally {
      ends.stop();
    }
  });
});
