/**
 * The wire: takes each packet from an interface and puts it out of another after the link's delay, or loses it. One thread for all links.
 * Never waits for anything but packets, due times and orders; never changes a packet.
 *
 *     interface a ── PacketSocket ─> PacketQueue ─> PacketSocket ── interface b      and back
 */
import { MAX_PACKET_BYTES, PacketQueue } from "./packet-queue.ts";
import { PacketSocket, type Poller } from "./packet-socket.ts";
import type { WireLink } from "./wire-lines.ts";

/** Packets of one direction that are taken before others have their turn. */
const BATCH = 64;
/** Until a full interface is tried again. */
const RETRY_MS = 0.2;

interface Direction {
  readonly from: PacketSocket;
  readonly to: PacketSocket;
  readonly queue: PacketQueue;
}

interface OpenLink {
  readonly sockets: readonly [PacketSocket, PacketSocket];
  readonly directions: readonly [Direction, Direction];
}

/** All links of one process. */
export class Wire {
  readonly #poller: Poller;
  readonly #controlFd: number;
  readonly #random: () => number;
  readonly #links = new Map<string, OpenLink>();
  readonly #scratch = Buffer.allocUnsafeSlow(MAX_PACKET_BYTES);
  #directions: readonly Direction[] = [];
  #retry = false;

  /** `controlFd`: a descriptor that `turn` wakes up for. `random`: evenly from 0 to 1. */
  constructor(poller: Poller, controlFd: number, random: () => number) {
    this.#poller = poller;
    this.#controlFd = controlFd;
    this.#random = random;
    this.#watch();
  }

  /** Makes these the links. Packets under way on a link that stays keep their times. Throws when an interface can't be opened. */
  apply(links: readonly WireLink[]): void {
    const wanted = new Set(links.map(keyOf));
    for (const [key, open] of this.#links) {
      if (wanted.has(key)) continue;
      for (const socket of open.sockets) socket.close();
      this.#links.delete(key);
    }
    try {
      for (const link of links) this.#applyLink(link);
    } finally {
      this.#watch();
    }
  }

  /** How many packets had no room, in the kernel or in here, since this was asked last: losses that nobody asked for. */
  overrun(): number {
    let packets = 0;
    for (const { from, queue } of this.#directions) {
      packets += from.overrun() + queue.overflowed;
      queue.overflowed = 0;
    }
    return packets;
  }

  /** Waits for what comes first and does it. Gives whether the control descriptor has something to read. */
  turn(): boolean {
    const due = Math.min(Infinity, ...this.#directions.map(({ queue }) => queue.dueMs));
    const timeoutMs = due - performance.now();
    this.#poller.waitFor(this.#retry ? Math.max(RETRY_MS, timeoutMs) : timeoutMs);
    for (const [index, direction] of this.#directions.entries()) {
      if (this.#poller.isReady(index + 1)) this.#receive(direction);
    }
    this.#retry = false;
    for (const direction of this.#directions) this.#release(direction);
    return this.#poller.isReady(0);
  }

  #receive({ from, queue }: Direction): void {
    for (let count = 0; count < BATCH; count += 1) {
      const room = queue.room();
      const length = from.receive(room ?? this.#scratch);
      if (length === 0) return;
      if (room === undefined) queue.overflowed += 1;
      else queue.keep(length, performance.now());
    }
  }

  #release({ to, queue }: Direction): void {
    const nowMs = performance.now();
    while (queue.dueMs <= nowMs) {
      if (to.send(queue.head()) === "later") {
        this.#retry = true;
        return;
      }
      queue.removeHead();
    }
  }

  #applyLink(link: WireLink): void {
    const open = this.#links.get(keyOf(link));
    if (open !== undefined) {
      open.directions[0].queue.quality = link.fromA;
      open.directions[1].queue.quality = link.fromB;
      return;
    }
    const a = new PacketSocket(link.a);
    let b: PacketSocket;
    try {
      b = new PacketSocket(link.b);
    } catch (error) {
      a.close();
      throw error;
    }
    this.#links.set(keyOf(link), {
      sockets: [a, b],
      directions: [
        { from: a, to: b, queue: new PacketQueue(link.fromA, this.#random) },
        { from: b, to: a, queue: new PacketQueue(link.fromB, this.#random) },
      ],
    });
  }

  #watch(): void {
    this.#directions = [...this.#links.values()].flatMap(({ directions }) => directions);
    this.#poller.watch([this.#controlFd, ...this.#directions.map(({ from }) => from.fd)]);
  }
}

function keyOf({ a, b }: WireLink): string {
  return `${a} ${b}`;
}
