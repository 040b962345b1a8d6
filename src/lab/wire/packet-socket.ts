/**
 * Packet sockets (AF_PACKET) and ppoll, by libc: what Node has no words for. Needs koffi, which may be missing where no build of it is for the
 * machine; whoever imports this file has to expect that. Never blocks but in `waitFor`. Constants are Linux's, the same on all machines.
 */
import koffi from "koffi";
import { MAX_PACKET_BYTES } from "./packet-queue.ts";

const AF_PACKET = 17;
const SOCK_RAW = 3;
const SOCK_NONBLOCK_CLOEXEC = 0o2004000;
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const SOL_PACKET = 263;
const PACKET_STATISTICS = 6;
const PACKET_VNET_HDR = 15;
const PACKET_IGNORE_OUTGOING = 23;
const ETH_P_ALL = 3;
const PR_SET_TIMERSLACK = 29;
const POLLIN = 1;
/** The kernel gives at most net.core.rmem_max and wmem_max: a user namespace may not ask for more. */
const BUFFER_BYTES = 8 << 20;
const { EAGAIN, EINTR, ENOBUFS } = koffi.os.errno;

const libc = koffi.load(null);
const libcSocket = libc.func("int socket(int domain, int type, int protocol)");
const libcClose = libc.func("int close(int fd)");
const libcSetsockopt = libc.func(
  "int setsockopt(int fd, int level, int name, const void *value, uint length)",
);
const libcGetsockopt = libc.func("int getsockopt(int fd, int level, int name, void *value, void *length)");
const libcBind = libc.func("int bind(int fd, const void *address, uint length)");
const libcIndex = libc.func("uint if_nametoindex(const char *name)");
const libcPrctl = libc.func("int prctl(int option, ulong a, ulong b, ulong c, ulong d)");
type Transfer = (...words: [fd: number, buffer: Buffer, length: number, flags: number]) => number;
const libcRecv = libc.func("long recv(int fd, void *buffer, size_t length, int flags)") as Transfer;
const libcSend = libc.func("long send(int fd, const void *buffer, size_t length, int flags)") as Transfer;
const libcPpoll = libc.func("int ppoll(void *fds, ulong count, const void *timeout, const void *mask)") as (
  ...words: [fds: Int32Array, count: number, timeout: BigInt64Array | null, mask: null]
) => number;

/** How sending a packet ended: `later`: the same packet has to be tried again. */
export type Sent = "sent" | "later" | "refused";

/** All packets of one interface: what arrives there, and what is to leave there. With a virtio_net_hdr each, so that offloads stay as they are. */
export class PacketSocket {
  readonly fd: number;

  /** Opens the socket of an interface of this process's network namespace. Throws with the failing call. */
  constructor(interfaceName: string) {
    this.fd = check("socket", libcSocket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK_CLOEXEC, 0));
    try {
      this.#set(SOL_PACKET, PACKET_VNET_HDR, 1);
      this.#set(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1);
      this.#set(SOL_SOCKET, SO_RCVBUF, BUFFER_BYTES);
      this.#set(SOL_SOCKET, SO_SNDBUF, BUFFER_BYTES);
      const index = Number(libcIndex(interfaceName));
      if (index === 0) throw new Error(`there is no interface ${interfaceName}`);
      // struct sockaddr_ll: family, protocol in network byte order, index; the rest is not asked for when binding.
      const address = Buffer.alloc(20);
      new Uint16Array(address.buffer, address.byteOffset, 1)[0] = AF_PACKET;
      address.writeUInt16BE(ETH_P_ALL, 2);
      new Int32Array(address.buffer, address.byteOffset + 4, 1)[0] = index;
      check("bind", libcBind(this.fd, address, address.length));
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Writes the next packet to `room` and gives its length; 0: none is there. What can't be received is skipped. */
  receive(room: Buffer): number {
    const length = libcRecv(this.fd, room, MAX_PACKET_BYTES, 0);
    return Math.max(0, length);
  }

  /** Sends a packet as it was received elsewhere. */
  send(packet: Buffer): Sent {
    if (libcSend(this.fd, packet, packet.length, 0) >= 0) return "sent";
    const errno = koffi.errno();
    return errno === EAGAIN || errno === ENOBUFS || errno === EINTR ? "later" : "refused";
  }

  /** How many packets the kernel had no room for since this was asked last. */
  overrun(): number {
    // struct tpacket_stats: packets, drops. Reading it sets it to zero.
    const statistics = new Uint32Array(2);
    libcGetsockopt(this.fd, SOL_PACKET, PACKET_STATISTICS, statistics, new Uint32Array([8]));
    return statistics[1] ?? 0;
  }

  close(): void {
    libcClose(this.fd);
  }

  #set(level: number, name: number, value: number): void {
    const bytes = new Int32Array([value]);
    check(`setsockopt ${name}`, libcSetsockopt(this.fd, level, name, bytes, 4));
  }
}

/** Waits until one of several descriptors is readable or a time is over. */
export class Poller {
  /** struct pollfd each: the descriptor, then events and what came of them in two halves of a word. */
  #fds = new Int32Array(0);
  readonly #timeout = new BigInt64Array(2);

  constructor() {
    // Timers of this thread end when they end, not some 50 µs later with others.
    libcPrctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
  }

  /** From now on waits for these. */
  watch(fds: readonly number[]): void {
    this.#fds = new Int32Array(fds.length * 2);
    for (const [index, fd] of fds.entries()) this.#fds[index * 2] = fd;
  }

  /** Waits for at most `timeoutMs` (Infinity: for ever). */
  waitFor(timeoutMs: number): void {
    for (let index = 1; index < this.#fds.length; index += 2) this.#fds[index] = POLLIN;
    const finite = Number.isFinite(timeoutMs);
    if (finite) {
      const nanoseconds = Math.max(0, Math.round(timeoutMs * 1e6));
      this.#timeout[0] = BigInt(Math.floor(nanoseconds / 1e9));
      this.#timeout[1] = BigInt(nanoseconds % 1e9);
    }
    libcPpoll(this.#fds, this.#fds.length / 2, finite ? this.#timeout : null, null);
  }

  /** Whether the descriptor of that place in `watch` has something: data, an end or an error. */
  isReady(place: number): boolean {
    return (this.#fds[place * 2 + 1] ?? 0) !== POLLIN;
  }
}

function check(call: string, result: unknown): number {
  if (typeof result !== "number" || result < 0) throw new Error(`${call} failed (errno ${koffi.errno()})`);
  return result;
}
