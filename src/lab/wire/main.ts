/**
 * The wire as a program: reads orders from standard input, carries packets between them, and ends with its input. Started by
 * inside/wire-process.ts in a namespace that holds nothing but the far ends of links. `--seed <n>` makes its losses the same each time; any other word only
 * tells people who list processes whose wire it is.
 */
import { readSync, writeSync } from "node:fs";
import type { WireOrder, WireReport } from "./wire-lines.ts";

const CONTROL_FD = 0;
const COUNT_EACH_MS = 1000;

function say(report: WireReport): void {
  writeSync(1, `${JSON.stringify(report)}\n`);
}

/** Evenly from 0 to 1, by mulberry32: the same numbers for the same seed. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

async function main(words: readonly string[]): Promise<void> {
  const modules = await Promise.all([import("./packet-socket.ts"), import("./wire.ts")]).catch(
    (error: unknown) => {
      const message = error instanceof Error ? error.message : String(error);
      say({ kind: "unavailable", reason: `koffi can't be loaded: ${message.split("\n")[0] ?? ""}` });
    },
  );
  if (modules === undefined) return;
  const [{ Poller }, { Wire }] = modules;
  const seedAt = words.indexOf("--seed");
  const seed = seedAt < 0 ? undefined : Number(words[seedAt + 1]);
  const wire = new Wire(new Poller(), CONTROL_FD, seed === undefined ? Math.random : seeded(seed));
  const chunk = Buffer.alloc(65_536);
  let text = "";
  let countedMs = performance.now();
  for (;;) {
    const ordered = wire.turn();
    if (performance.now() - countedMs > COUNT_EACH_MS) {
      countedMs = performance.now();
      const packets = wire.overrun();
      if (packets > 0) say({ kind: "overrun", packets });
    }
    if (!ordered) continue;
    const length = readSync(CONTROL_FD, chunk);
    if (length === 0) return;
    const lines = `${text}${chunk.toString("utf8", 0, length)}`.split("\n");
    text = lines.pop() ?? "";
    for (const line of lines) obey(JSON.parse(line) as WireOrder);
  }

  function obey({ generation, links }: WireOrder): void {
    try {
      wire.apply(links);
      say({ kind: "applied", generation });
    } catch (error) {
      say({ kind: "failed", generation, reason: error instanceof Error ? error.message : String(error) });
    }
  }
}

await main(process.argv.slice(2));
