/**
 * Keeps the wire running: starts it with the first order, starts it again when it ends, and gives it the newest order each time.
 * While it is away, packets of its links are lost, as on any link whose device is dead. Never decides which links there are (links.ts does).
 */
import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import type { WireLink, WireOrder, WireReport } from "../wire/wire-lines.ts";

/** How the wire is. `running`: it has obeyed its order; `restarts` counts how often it has ended by itself. */
export type WireState =
  | { readonly state: "off" }
  | {
      readonly state: "running";
      readonly pid: number;
      readonly restarts: number;
      /** Packets that were lost because they came faster than the wire took them; nobody asked for that. */
      readonly overrunPackets: number;
    }
  | { readonly state: "restarting"; readonly ended: string; readonly restarts: number }
  | { readonly state: "unavailable"; readonly reason: string };

const RESTART_DELAY_MS = 200;
/** For an answer; a machine may be busy, and a wire that has ended comes back first. */
const ANSWER_LIMIT_MS = 20_000;

/** What the wire is started with. */
export interface WireProcessOptions {
  readonly argv: readonly string[];
  /** Gets what it writes to its standard error. */
  readonly logFile: string;
  /** Told of each new state. */
  readonly onState?: (state: WireState) => void;
  /** Descriptors from 3 on that it must not inherit. */
  readonly inheritedDescriptors?: number;
}

/** The wire's process, over all its lives. */
export class WireProcess {
  readonly #options: WireProcessOptions;
  readonly #waiting = new Map<number, (failure: string | undefined) => void>();
  #order: WireOrder = { generation: 0, links: [] };
  #state: WireState = { state: "off" };
  #restarts = 0;
  #overrunPackets = 0;
  #child: ChildProcess | undefined;

  constructor(options: WireProcessOptions) {
    this.#options = options;
  }

  get state(): WireState {
    return this.#state;
  }

  /** Makes these the links. Fulfils when they are, with undefined, or with why they can't be. */
  async order(links: readonly WireLink[]): Promise<string | undefined> {
    if (this.#state.state === "unavailable") return this.#state.reason;
    const generation = this.#order.generation + 1;
    this.#order = { generation, links };
    const answer = new Promise<string | undefined>((resolve) => this.#waiting.set(generation, resolve));
    if (this.#child === undefined && this.#state.state === "off") this.#start();
    else this.#send();
    const timer = new AbortController();
    const late = sleep(ANSWER_LIMIT_MS, "the wire does not answer", { signal: timer.signal, ref: false });
    late.catch(() => undefined);
    try {
      return await Promise.race([answer, late]);
    } finally {
      timer.abort();
      this.#waiting.delete(generation);
    }
  }

  /** Ends the wire for good. */
  stop(): void {
    this.#become({ state: "unavailable", reason: "the wire was stopped" });
    this.#child?.kill("SIGKILL");
  }

  #start(): void {
    const [program = "", ...args] = this.#options.argv;
    const log = openSync(this.#options.logFile, "a");
    const child = spawn(program, args, {
      stdio: [
        "pipe",
        "pipe",
        log,
        ...Array<"ignore">(this.#options.inheritedDescriptors ?? 0).fill("ignore"),
      ],
    });
    closeSync(log);
    this.#child = child;
    child.stdin?.on("error", () => undefined);
    if (child.stdout !== null)
      createInterface({ input: child.stdout }).on("line", (line) => {
        this.#hear(JSON.parse(line) as WireReport);
      });
    let ended = false;
    const end = (how: string): void => {
      if (ended) return;
      ended = true;
      this.#ended(how);
    };
    child.once("error", (error) => {
      end(error.message);
    });
    child.once("close", (code, signal) => {
      end(signal ?? `code ${code ?? "?"}`);
    });
    this.#send();
  }

  #send(): void {
    this.#child?.stdin?.write(`${JSON.stringify(this.#order)}\n`);
  }

  #hear(report: WireReport): void {
    if (report.kind === "unavailable") {
      this.#become({ state: "unavailable", reason: report.reason });
      for (const answer of this.#waiting.values()) answer(report.reason);
      return;
    }
    if (report.kind === "overrun") {
      this.#overrunPackets += report.packets;
      if (this.#state.state === "running") this.#run();
      return;
    }
    if (this.#state.state !== "running") this.#run();
    // Orders replace each other: what is in force is at least as new as what others wait for.
    for (const [generation, answer] of this.#waiting) {
      if (generation <= report.generation) answer(report.kind === "failed" ? report.reason : undefined);
    }
  }

  #run(): void {
    this.#become({
      state: "running",
      pid: this.#child?.pid ?? 0,
      restarts: this.#restarts,
      overrunPackets: this.#overrunPackets,
    });
  }

  #ended(how: string): void {
    this.#child = undefined;
    if (this.#state.state === "unavailable") return;
    this.#restarts += 1;
    this.#become({ state: "restarting", ended: how, restarts: this.#restarts });
    void sleep(RESTART_DELAY_MS).then(() => {
      this.#start();
    });
  }

  #become(state: WireState): void {
    this.#state = state;
    this.#options.onState?.(state);
  }
}
