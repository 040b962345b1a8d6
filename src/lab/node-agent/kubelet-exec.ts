/**
 * `kubectl exec`: joins a client and a command in a container. A client that leaves takes its command along.
 */
import { spawn } from "node:child_process";
import { readlinkSync } from "node:fs";
import type { Readable, Writable } from "node:stream";
import { finished } from "node:stream/promises";
import { execWords, type RunningContainer } from "./container-exec.ts";
import { shellQuote } from "./container-script.ts";
import type { ExecClient, TerminalSize } from "./exec-client.ts";
import { childProcesses, killWithChildren } from "./process-tree.ts";
import { execute } from "./run-command.ts";

/** What the query of an exec asks for. */
export interface ExecRequest {
  readonly command: readonly string[];
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

/** Reads the query as kube-apiserver writes it. */
export function parseExecQuery(query: URLSearchParams): ExecRequest {
  const yes = (...names: string[]): boolean =>
    names.some((name) => ["1", "true"].includes(query.get(name) ?? ""));
  return {
    command: query.getAll("command"),
    stdin: yes("input", "stdin"),
    stdout: yes("output", "stdout"),
    stderr: yes("error", "stderr"),
    tty: yes("tty"),
  };
}

/** Runs the command with the client's streams as its standard streams; ends with telling its exit code. */
export function serveExec(client: ExecClient, container: RunningContainer, request: ExecRequest): void {
  // There is no pty in Node: util-linux's script makes one, inside the container.
  const command = request.tty
    ? ["script", "-qefc", `exec ${request.command.map(shellQuote).join(" ")}`, "/dev/null"]
    : request.command;
  const environment = request.tty ? { TERM: "xterm", ...container.environment } : container.environment;
  const [file = "", ...args] = execWords({ ...container, environment }, command);
  const child = spawn("setpriv", ["--pdeathsig", "KILL", file, ...args], { stdio: ["pipe", "pipe", "pipe"] });
  child.stdin.on("error", () => undefined);
  if (client.stdin === undefined) child.stdin.end();
  else client.stdin.pipe(child.stdin);
  lead(child.stdout, client.stdout);
  lead(child.stderr, request.tty ? client.stdout : client.stderr);
  client.onResize((size) => void resize(child.pid ?? 0, size));
  client.onGone(() => {
    if (child.exitCode === null && child.pid !== undefined) killWithChildren(child.pid);
  });
  child.on("error", () => { client.finish(126); }); // prettier-ignore
  child.on("close", (code) => {
    void Promise.all([sent(client.stdout), sent(client.stderr)]).then(() => { client.finish(code ?? 137); }); // prettier-ignore
  });
}

/** Not ended with its source: a terminal's output and errors have one. */
function lead(source: Readable, target: Writable | undefined): void {
  if (target === undefined) source.resume();
  else source.pipe(target, { end: false });
}

/** Ends a stream, and fulfils once all of it is with the client, or never will be. */
async function sent(target: Writable | undefined): Promise<void> {
  if (target === undefined) return;
  target.end();
  await finished(target, { readable: false }).catch(() => undefined);
}

/** The program behind a pty is there a few milliseconds after the request: looked for again and again. */
async function resize(root: number, { columns, rows }: TerminalSize): Promise<void> {
  for (let attempt = 0; attempt < 40; attempt += 1) {
    const at = terminalOf(root);
    if (at !== undefined) {
      await execute([
        "stty",
        "-F",
        `/proc/${at.pid}/root${at.terminal}`,
        "rows",
        String(rows),
        "cols",
        String(columns),
      ]).catch(() => undefined);
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

function terminalOf(pid: number): { pid: number; terminal: string } | undefined {
  for (const child of childProcesses(pid)) {
    try {
      const terminal = readlinkSync(`/proc/${child}/fd/0`);
      if (terminal.startsWith("/dev/pts/")) return { pid: child, terminal };
    } catch {
      // It ended in between.
    }
    const below = terminalOf(child);
    if (below !== undefined) return below;
  }
  return undefined;
}
