/**
 * One direction of a wire: packets in order, each with the time at which it is due at the other end. Pure but for its own memory: time and
 * chance are arguments. Never reorders, whatever the jitter; never looks into a packet beyond its type.
 *
 *     room() ─ a packet is written there ─> keep(length, now) ─> dueMs ─> head() ─ sent ─> removeHead()
 */

/** A direction's quality. */
export interface WireQuality {
  /** One way, milliseconds. */
  readonly delayMs: number;
  /** Each packet's delay is chosen evenly from `delayMs` ± `jitterMs`; a packet that would overtake the one before it waits for it. */
  readonly jitterMs: number;
  readonly lossPercent: number;
}

/** Length of the virtio_net_hdr before each frame: what the kernel was going to do about segmentation and checksum. */
const VNET_HEADER_BYTES = 10;
/** The longest that a packet socket gives: that header, an Ethernet header, and a super-packet of segmentation offload. */
export const MAX_PACKET_BYTES = VNET_HEADER_BYTES + 18 + 65_536;
/** ARP is never lost: a link that forgets where its other end is would be silent for whole seconds. */
const ETHERTYPE_ARP = 0x0806;
const ETHERTYPE_OFFSET = VNET_HEADER_BYTES + 12;
const FIRST_CAPACITY = 1 << 20;

/** How many bytes may be under way in one direction (1 Gbit/s for half a second); what comes then is lost, as in any full queue. */
const MAX_QUEUED_BYTES = 64 << 20;

/** The packets under way in one direction. */
export class PacketQueue {
  quality: WireQuality;
  /** Packets that found the queue full. */
  overflowed = 0;
  readonly #random: () => number;
  readonly #maxBytes: number;
  /** A ring: packets lie in one piece each, from `#tail` to `#head`, wrapping at `#end`. */
  #bytes: Buffer;
  #head = 0;
  #tail = 0;
  #end = 0;
  /** Packets in order, from `#first` on. */
  #entries: { offset: number; length: number; dueMs: number }[] = [];
  #first = 0;
  #lastDueMs = 0;

  constructor(quality: WireQuality, random: () => number, maxBytes = MAX_QUEUED_BYTES) {
    this.quality = quality;
    this.#random = random;
    this.#maxBytes = maxBytes;
    this.#bytes = Buffer.allocUnsafeSlow(Math.min(FIRST_CAPACITY, maxBytes));
  }

  /** How many packets are under way. */
  get length(): number {
    return this.#entries.length - this.#first;
  }

  /** When the first packet is due, in milliseconds of the clock of `keep`; Infinity: none is under way. */
  get dueMs(): number {
    return this.#entries[this.#first]?.dueMs ?? Infinity;
  }

  /** Where the next packet of at most MAX_PACKET_BYTES is to be written before `keep`; undefined: the queue is full. */
  room(): Buffer | undefined {
    const offset = this.#freeOffset();
    return offset === undefined ? undefined : this.#bytes.subarray(offset, offset + MAX_PACKET_BYTES);
  }

  /** Takes what was written to `room()`: a packet that arrived at `nowMs`. It may be lost. */
  keep(length: number, nowMs: number): void {
    const offset = this.#freeOffset();
    if (offset === undefined) throw new RangeError("there was no room for this packet");
    const { delayMs, jitterMs, lossPercent } = this.quality;
    const isArp =
      length >= ETHERTYPE_OFFSET + 2 && this.#bytes.readUInt16BE(offset + ETHERTYPE_OFFSET) === ETHERTYPE_ARP;
    if (lossPercent > 0 && !isArp && this.#random() * 100 < lossPercent) return;
    const late = jitterMs > 0 ? delayMs + (this.#random() * 2 - 1) * jitterMs : delayMs;
    this.#lastDueMs = Math.max(this.#lastDueMs, nowMs + Math.max(0, late));
    if (offset < this.#head) this.#end = this.#head;
    this.#head = offset + length;
    this.#entries.push({ offset, length, dueMs: this.#lastDueMs });
  }

  /** The first packet. Throws RangeError when there is none. */
  head(): Buffer {
    const entry = this.#entries[this.#first];
    if (entry === undefined) throw new RangeError("no packet is under way");
    return this.#bytes.subarray(entry.offset, entry.offset + entry.length);
  }

  /** Forgets the first packet. */
  removeHead(): void {
    this.#first += 1;
    const next = this.#entries[this.#first];
    if (next === undefined) {
      this.#entries = [];
      this.#first = this.#head = this.#tail = 0;
      return;
    }
    this.#tail = next.offset;
    // The gone entries are dropped now and then, so that a queue that is never empty doesn't grow.
    if (this.#first > 4096 && this.#first * 2 > this.#entries.length) {
      this.#entries.splice(0, this.#first);
      this.#first = 0;
    }
  }

  /** Where a packet of the greatest length fits in one piece; a longer ring is made where the limit allows it. */
  #freeOffset(): number | undefined {
    for (;;) {
      const wrapped = this.length > 0 && this.#head <= this.#tail;
      if (wrapped) {
        if (this.#tail - this.#head > MAX_PACKET_BYTES) return this.#head;
      } else {
        if (this.#bytes.length - this.#head >= MAX_PACKET_BYTES) return this.#head;
        if (this.#tail > MAX_PACKET_BYTES) return 0;
      }
      if (this.#bytes.length * 2 > this.#maxBytes) return undefined;
      this.#grow(wrapped);
    }
  }

  #grow(wrapped: boolean): void {
    const longer = Buffer.allocUnsafeSlow(this.#bytes.length * 2);
    const end = wrapped ? this.#end : this.#head;
    const beforeWrap = this.#bytes.copy(longer, 0, this.#tail, end);
    const total = beforeWrap + (wrapped ? this.#bytes.copy(longer, beforeWrap, 0, this.#head) : 0);
    this.#entries = this.#entries.slice(this.#first).map((entry) => ({
      ...entry,
      offset: entry.offset >= this.#tail ? entry.offset - this.#tail : entry.offset + beforeWrap,
    }));
    this.#first = 0;
    this.#bytes = longer;
    this.#tail = 0;
    this.#head = total;
  }
}
