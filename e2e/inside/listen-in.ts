/**
 * Listens in on interfaces of a cluster, as somebody between the clusters could, and counts the packets from or to TCP ports that
 * hold a text as it is.
 *
 *     listen-in <milliseconds> <text> <port>,… <interface>,…
 *
 * Runs in a cluster's network, not in a Pod.
 */
import { Poller, PacketSocket } from "../../src/lab/wire/packet-socket.ts";
import { MAX_PACKET_BYTES } from "../../src/lab/wire/packet-queue.ts";

/** What was heard, by port. */
export type Heard = Readonly<Record<string, { packets: number; withText: number }>>;

const [, , forMs = "", text = "", ports = "", interfaces = ""] = process.argv;
/** struct virtio_net_hdr, then Ethernet. */
const ipAt = 10 + 14;
const tcp = 6;

const wanted = Buffer.from(text);
const heard = new Map(ports.split(",").map((port) => [Number(port), { packets: 0, withText: 0 }]));
const sockets = interfaces.split(",").map((name) => new PacketSocket(name));
const poller = new Poller();
poller.watch(sockets.map(({ fd }) => fd));
const room = Buffer.alloc(MAX_PACKET_BYTES);
const untilMs = performance.now() + Number(forMs);
process.stderr.write("listening\n");

for (let leftMs = Number(forMs); leftMs > 0; leftMs = untilMs - performance.now()) {
  poller.waitFor(leftMs);
  for (const socket of sockets) {
    for (;;) {
      const length = socket.receive(room);
      if (length === 0) break;
      look(room.subarray(ipAt, length));
    }
  }
}
process.stdout.write(`${JSON.stringify(Object.fromEntries(heard))}\n`);

function look(packet: Buffer): void {
  if (packet.length < 40 || packet.readUInt8(0) >> 4 !== 4 || packet.readUInt8(9) !== tcp) return;
  const tcpAt = (packet.readUInt8(0) & 0x0f) * 4;
  const counted = heard.get(packet.readUInt16BE(tcpAt)) ?? heard.get(packet.readUInt16BE(tcpAt + 2));
  if (counted === undefined) return;
  counted.packets += 1;
  if (packet.includes(wanted)) counted.withText += 1;
}
