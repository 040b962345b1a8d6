/**
 * For the tests beside it: two network namespaces, joined by a wire in a third, in a user namespace of their own. Everything dies with the
 * test's process.
 *
 *     [left 198.19.240.1] ═ la [middle: the wire] lb ═ [right 198.19.240.2]
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { enteringWords } from "../enter.ts";
import { hostEnvironment } from "../host-check.ts";
import { inNetns } from "../inside/network.ts";
import { WireProcess } from "../inside/wire-process.ts";
import { childProcesses } from "../node-agent/process-tree.ts";
import { run } from "../node-agent/run-command.ts";
import type { WireQuality } from "./packet-queue.ts";

const LEFT = "198.19.240.1";
/** Address of the right end. */
export const RIGHT = "198.19.240.2";

const NETWORK = `set -e
mount -t tmpfs none /run; mkdir /run/netns
for n in left middle right; do ip netns add $n; ip -n $n link set lo up; done
ip link add w netns left type veth peer name la netns middle
ip link add w netns right type veth peer name lb netns middle
for n in middle; do for f in all default; do nsenter --net=/run/netns/$n sh -c "[ ! -e /proc/sys/net/ipv6 ] || echo 1 > /proc/sys/net/ipv6/conf/$f/disable_ipv6"; done; done
ip -n left addr add ${LEFT}/30 dev w; ip -n right addr add ${RIGHT}/30 dev w
for e in "left w" "right w" "middle la" "middle lb"; do set -- $e; ip -n $1 link set $2 up; done
echo ready
exec sleep infinity
`;

/** Two ends and a wire. */
export interface TestWire {
  readonly wire: WireProcess;
  /** Sets the quality of each direction. Throws when the wire can't. */
  set(fromLeft: Partial<WireQuality>, fromRight?: Partial<WireQuality>): Promise<void>;
  /** Runs a command at an end. Gives stdout; throws when it fails. */
  at(end: "left" | "right", words: readonly string[], input?: string): Promise<string>;
  /** Starts a command at an end; it stays until `stop`. Fulfils with its first line. */
  start(end: "left" | "right", words: readonly string[]): Promise<string>;
  stop(): void;
}

/** Makes both ends and the wire between them; `words` come before the wire's own on Node's command line, `seed` makes its losses known. */
export async function startTestWire(
  options: { readonly words?: readonly string[]; readonly seed?: number } = {},
): Promise<TestWire> {
  const folder = mkdtempSync(join(tmpdir(), "mc-wan-wire-"));
  const namespaces = ["-Urnm", "--pid", "--fork", "--kill-child", "--mount-proc"];
  const holder = spawn("setpriv", ["--pdeathsig", "KILL", "unshare", ...namespaces, "bash", "-c", NETWORK], {
    stdio: ["ignore", "pipe", "inherit"],
    env: hostEnvironment(),
  });
  await new Promise((resolve, reject) => {
    holder.stdout.once("data", resolve);
    holder.once("exit", () => {
      reject(new Error("the namespaces can't be made"));
    });
  });
  const [first = 0] = childProcesses(holder.pid ?? 0);
  const inside = (netns: string, words: readonly string[]): string[] => [
    ...enteringWords(first),
    ...inNetns(netns),
    "--",
    ...words,
  ];
  const program = join(import.meta.dirname, "main.ts");
  const seed = options.seed === undefined ? [] : ["--seed", String(options.seed)];
  const wire = new WireProcess({
    argv: inside("middle", [process.execPath, ...(options.words ?? []), program, ...seed]),
    logFile: join(folder, "wire.log"),
  });
  const none: WireQuality = { delayMs: 0, jitterMs: 0, lossPercent: 0 };
  return {
    wire,
    set: async (fromLeft, fromRight = fromLeft) => {
      const failure = await wire.order([
        { a: "la", b: "lb", fromA: { ...none, ...fromLeft }, fromB: { ...none, ...fromRight } },
      ]);
      if (failure !== undefined) throw new Error(failure);
    },
    at: async (end, words, input) =>
      await run(inside(end, words), { timeoutMs: 120_000, ...(input === undefined ? {} : { input }) }),
    start: async (end, words) => {
      const [file = "", ...args] = inside(end, words);
      const child = spawn(file, args, { stdio: ["ignore", "pipe", "inherit"] });
      return await new Promise((resolve) => {
        child.stdout.once("data", (chunk: Buffer) => {
          resolve(chunk.toString());
        });
      });
    },
    stop: () => {
      // Process 1 of the namespace: the kernel ends all others, the wire too, which must not come back.
      wire.stop();
      holder.kill("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
