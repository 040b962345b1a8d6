/** For tests of links: a program that answers datagrams, and one that measures the way there and back. Both are Node's, to be run anywhere. */

/** What the measuring program prints. */
export interface ProbeResult {
  /** Round trips in milliseconds, in the order of the answers. */
  readonly rttMs: readonly number[];
  /** Numbers of the datagrams that were answered, in the order of the answers. */
  readonly order: readonly number[];
}

/** Answers each datagram to a port; prints a line when it listens. */
export function echoWords(port: number): string[] {
  const script = `
const socket = require("node:dgram").createSocket("udp4");
socket.on("message", (message, from) => socket.send(message, from.port, from.address));
socket.bind(${port}, () => console.log("listening"));`;
  return [process.execPath, "-e", script];
}

/** Sends `count` datagrams, one each `gapMs`, and prints a ProbeResult once no more answers come. */
export function probeWords(to: {
  readonly host: string;
  readonly port: number;
  readonly count: number;
  readonly gapMs: number;
}): string[] {
  const script = `
const { host, port, count, gapMs } = JSON.parse(process.argv[1]);
const socket = require("node:dgram").createSocket("udp4");
const sentAt = new Map(), rttMs = [], order = [];
const end = () => { console.log(JSON.stringify({ rttMs, order })); process.exit(0); };
socket.on("message", (message) => {
  const number = message.readUInt32BE(0);
  rttMs.push(performance.now() - sentAt.get(number));
  order.push(number);
  if (order.length === count) end();
});
let next = 0;
const timer = setInterval(() => {
  if (next === count) { clearInterval(timer); setTimeout(end, 1000); return; }
  const message = Buffer.alloc(64);
  message.writeUInt32BE(next, 0);
  sentAt.set(next, performance.now());
  socket.send(message, port, host);
  next += 1;
}, gapMs);`;
  return [process.execPath, "-e", script, JSON.stringify(to)];
}

/** The middle one of some numbers. */
export function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? NaN;
}
