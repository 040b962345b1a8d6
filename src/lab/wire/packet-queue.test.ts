import { expect } from "chai";
import fc from "fast-check";
import { MAX_PACKET_BYTES, PacketQueue, type WireQuality } from "./packet-queue.ts";

const PERFECT: WireQuality = { delayMs: 0, jitterMs: 0, lossPercent: 0 };

/** Puts a packet of `length` bytes, all of them `byte`, into the queue. Gives whether there was room. */
function put(queue: PacketQueue, packet: { byte: number; length: number }, nowMs: number): boolean {
  const room = queue.room();
  if (room === undefined) return false;
  room.fill(packet.byte, 0, packet.length);
  queue.keep(packet.length, nowMs);
  return true;
}

function take(queue: PacketQueue): { byte: number; length: number; whole: boolean } {
  const packet = queue.head();
  const [byte = -1] = packet;
  const taken = { byte, length: packet.length, whole: packet.every((value) => value === byte) };
  queue.removeHead();
  return taken;
}

/** Numbers in turn, again and again. */
function inTurn(...numbers: number[]): () => number {
  let next = 0;
  return () => numbers[next++ % numbers.length] ?? 0;
}

describe("the packets under way in one direction of a wire", () => {
  it("are due after the delay", () => {
    const queue = new PacketQueue({ ...PERFECT, delayMs: 20 }, inTurn(0));
    expect(queue.dueMs).to.equal(Infinity);
    put(queue, { byte: 1, length: 100 }, 1000);
    expect(queue.dueMs).to.equal(1020);
  });

  it("are due within the jitter, and never before the packet ahead of them", () => {
    const queue = new PacketQueue({ delayMs: 20, jitterMs: 5, lossPercent: 0 }, inTurn(0.999999, 0, 0.5));
    const dues: number[] = [];
    for (const nowMs of [0, 1, 100]) put(queue, { byte: 1, length: 60 }, nowMs);
    while (queue.length > 0) {
      dues.push(Math.round(queue.dueMs * 100) / 100);
      queue.removeHead();
    }
    expect(dues).to.deep.equal([25, 25, 120]);
  });

  it("keep their order when the delay becomes shorter", () => {
    const queue = new PacketQueue({ ...PERFECT, delayMs: 50 }, inTurn(0));
    put(queue, { byte: 1, length: 60 }, 0);
    queue.quality = PERFECT;
    put(queue, { byte: 2, length: 60 }, 1);
    expect([queue.dueMs, take(queue).byte, queue.dueMs, take(queue).byte]).to.deep.equal([50, 1, 50, 2]);
  });

  it("are lost in the share that was asked for, but never an ARP packet", () => {
    const queue = new PacketQueue({ ...PERFECT, lossPercent: 25 }, inTurn(0.1, 0.3, 0.5, 0.7));
    for (let count = 0; count < 100; count += 1) put(queue, { byte: 1, length: 60 }, 0);
    expect(queue.length).to.equal(75);
    const room = queue.room()!;
    room.fill(0, 0, 60).writeUInt16BE(0x0806, 22);
    const always = new PacketQueue({ ...PERFECT, lossPercent: 100 }, inTurn(0));
    room.copy(always.room()!, 0, 0, 60);
    always.keep(60, 0);
    expect(always.length).to.equal(1);
  });

  it("find the queue full at its limit, and room again when one has left", () => {
    const limit = 8 * MAX_PACKET_BYTES;
    const queue = new PacketQueue(PERFECT, inTurn(0), limit);
    let count = 0;
    while (put(queue, { byte: 3, length: MAX_PACKET_BYTES }, 0)) count += 1;
    expect(count).to.be.within(3, 8);
    expect(queue.room()).to.equal(undefined);
    take(queue);
    take(queue);
    expect(queue.room()).not.to.equal(undefined);
  });

  it("come out as they went in, whatever comes and goes between", () => {
    const steps = fc.array(
      fc.record({
        puts: fc.nat(40),
        takes: fc.nat(40),
        length: fc.integer({ min: 24, max: MAX_PACKET_BYTES }),
      }),
      { maxLength: 30 },
    );
    fc.assert(
      fc.property(steps, (rounds) => {
        const queue = new PacketQueue(PERFECT, inTurn(0), 4 << 20);
        const expected: { byte: number; length: number; whole: boolean }[] = [];
        let byte = 0;
        for (const { puts, takes, length } of rounds) {
          for (let count = 0; count < puts; count += 1) {
            byte = (byte + 1) % 256;
            if (put(queue, { byte, length }, 0)) expected.push({ byte, length, whole: true });
          }
          for (let count = 0; count < takes && expected.length > 0; count += 1)
            expect(take(queue)).to.deep.equal(expected.shift());
        }
        while (expected.length > 0) expect(take(queue)).to.deep.equal(expected.shift());
        expect(queue.length).to.equal(0);
      }),
      { numRuns: 40 },
    );
  }).timeout(60_000);
});
