/**
 * The programs of a lab: started in their namespace, logged to a file each, started again when they end.
 * Never outlives the lab: everything is in the lab's PID namespace. Never hands on the lab's own descriptors (sockets of the host).
 */
import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { inNetns } from "./network.ts";

/** A program to keep running. */
export interface ProgramSpec {
  /** Name of its log file, unique in the lab. */
  readonly name: string;
  /** Namespace; undefined is the lab's own. */
  readonly netns?: string;
  readonly argv: readonly string[];
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

const RESTART_DELAY_MS = 500;
/** How often a program may end while the lab is coming up: on a busy machine some give up waiting for others. */
const STARTING_RESTARTS = 4;

/** All programs of a lab. */
export class Programs {
  readonly #logDir: string;
  readonly #inheritedDescriptors: number;
  readonly #onRestart: (name: string, how: string) => void;
  readonly #exits = new Map<string, number>();
  #strict = true;
  #fail: (error: Error) => void = () => undefined;
  /** Rejects when a program keeps ending while the lab is coming up; never fulfils. */
  readonly failed: Promise<never>;

  constructor(options: {
    logDir: string;
    inheritedDescriptors: number;
    onRestart: (name: string, how: string) => void;
  }) {
    this.#logDir = options.logDir;
    this.#inheritedDescriptors = options.inheritedDescriptors;
    this.#onRestart = options.onRestart;
    this.failed = new Promise<never>((_, reject) => {
      this.#fail = reject;
    });
    this.failed.catch(() => undefined);
  }

  /** From now on no program fails the lab, however often it ends: it is started again. */
  tolerateExits(): void {
    this.#strict = false;
  }

  /** Starts a program and keeps it running. */
  start(spec: ProgramSpec): void {
    const log = join(this.#logDir, `${spec.name}.log`);
    const descriptor = openSync(log, "a");
    const [program = "", ...args] = [...(spec.netns === undefined ? [] : inNetns(spec.netns)), ...spec.argv];
    const child = spawn(program, args, {
      cwd: spec.cwd,
      env: { ...process.env, ...spec.env },
      // "ignore" lays /dev/null over the descriptors that this process was given and that would pass through exec.
      stdio: [
        "ignore",
        descriptor,
        descriptor,
        ...Array<"ignore">(this.#inheritedDescriptors).fill("ignore"),
      ],
    });
    closeSync(descriptor);
    let ended = false;
    const end = (how: string): void => {
      if (ended) return;
      ended = true;
      this.#ended(spec, how);
    };
    child.once("error", (error) => {
      end(error.message);
    });
    child.once("exit", (code, signal) => {
      end(signal ?? `code ${code ?? "?"}`);
    });
  }

  #ended(spec: ProgramSpec, how: string): void {
    const exits = (this.#exits.get(spec.name) ?? 0) + 1;
    this.#exits.set(spec.name, exits);
    if (this.#strict && exits > STARTING_RESTARTS) {
      this.#fail(
        new Error(`${spec.name} ended (${how}): ${lastLine(join(this.#logDir, `${spec.name}.log`))}`),
      );
      return;
    }
    this.#onRestart(spec.name, how);
    void sleep(RESTART_DELAY_MS).then(() => {
      this.start(spec);
    });
  }
}

function lastLine(file: string): string {
  try {
    return readFileSync(file, "utf8").trimEnd().split("\n").at(-1)?.slice(0, 300) ?? "";
  } catch {
    return "no log";
  }
}
