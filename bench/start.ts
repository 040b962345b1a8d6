/** `start`: from the command to the demo's last claim, everything warm. The lab's end is not counted. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { rounded } from "./measurement.ts";
import type { BenchContext, Figure, Measurement } from "./measurement.ts";

/** Lines of the demo that end a part of it. */
const milestones = [
  { name: "mc-wan is ready, s", pattern: /controllers and gateways are ready/ },
  { name: "payment's Pods are ready, s", pattern: /payment: Pods are ready/ },
  { name: "first answers from both exporters, s", pattern: /payment: answers from both exporters/ },
] as const;
const lastLine = /\d+ of \d+ claims held/;

export async function start({ progress, signal }: BenchContext): Promise<Measurement> {
  const begin = performance.now();
  const { MCWAN_CONTEXTS: _contexts, MCWAN_LAB: _lab, ...environment } = process.env;
  const demo = spawn(process.execPath, [join(import.meta.dirname, "../e2e/demo.ts")], {
    stdio: ["ignore", "ignore", "pipe"],
    env: environment,
  });
  // The demo ends its lab by itself when it is asked to.
  const interrupt = (): void => void demo.kill("SIGINT");
  signal.addEventListener("abort", interrupt, { once: true });
  const figures: Figure[] = [];
  const notes: string[] = ["`node e2e/demo.ts`, programs built before; the demo prints the same seconds"];
  const exited = once(demo, "exit");
  const seconds = (): number => rounded((performance.now() - begin) / 1000);
  let end: Figure | undefined;
  try {
    for await (const line of createInterface({ input: demo.stderr })) {
      progress(`start: ${line}`);
      for (const { name, pattern } of milestones)
        if (pattern.test(line)) figures.push({ name, value: seconds() });
      if (line.includes("REFUTED")) notes.push(line.trim());
      if (lastLine.test(line)) {
        end = { name: "the last claim is judged, s", value: seconds(), target: 60 };
        notes.push(line.trim());
      }
    }
    const [code] = (await exited) as [number | null];
    signal.throwIfAborted();
    if (end === undefined) throw new Error(`the demo ended (${code ?? "by a signal"}) before its last line`);
  } finally {
    signal.removeEventListener("abort", interrupt);
    if (demo.exitCode === null && demo.signalCode === null) demo.kill("SIGTERM");
  }
  return {
    benchmark: "start",
    title: "npm start, from the command to the demo's last claim",
    figures: [end, ...figures],
    notes,
  };
}
