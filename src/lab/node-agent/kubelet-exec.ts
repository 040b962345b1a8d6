/**
 * `kubectl exec`: joins a WebSocket and a command in a container. A client that leaves takes its command along.
 */
import { spawn } from "node:child_process";
import { readlinkSync } from "node:fs";
import type { Readable } from "node:stream";
import type { WebSocket } from "ws";
import { execWords, type RunningContainer } from "./container-exec.ts";
import { shellQuote } from "./container-script.ts";
import { CHANNEL, channelFrame, exitStatusFrame, parseClientFrame } from "./exec-channels.ts";
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

/** More than this on its way to a slow client holds the command's output back. */
const MOST_BUFFERED = 1024 * 1024;

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

/** Runs the command with the socket as its standard streams; ends the socket with its exit code. */
export function serveExec(socket: WebSocket, container: RunningContainer, request: ExecRequest): void {
  // There is no pty in Node: util-linux's script makes one, inside the container.
  const command = request.tty
    ? ["script", "-qefc", `exec ${request.command.map(shellQuote).join(" ")}`, "/dev/null"]
    : request.command;
  const environment = request.tty ? { TERM: "xterm", ...container.environment } : container.environment;
  const [file = "", ...args] = execWords({ ...container, environment }, command);
  const child = spawn("setpriv", ["--pdeathsig", "KILL", file, ...args], { stdio: ["pipe", "pipe", "pipe"] });
  child.stdin.on("error", () => undefined);
  if (!request.stdin) child.stdin.end();
  if (request.stdout) forward(child.stdout, socket, CHANNEL.stdout);
  else child.stdout.resume();
  if (request.stderr || request.tty)
    forward(child.stderr, socket, request.tty ? CHANNEL.stdout : CHANNEL.stderr);
  else child.stderr.resume();
  socket.on("message", (message: Buffer) => {
    const frame = parseClientFrame(message);
    if (frame.kind === "close-stdin") child.stdin.end();
    else if (frame.kind === "resize") void resize(child.pid ?? 0, frame);
    else if (frame.kind === "stdin" && !child.stdin.writableEnded && !child.stdin.write(frame.data)) {
      socket.pause();
      child.stdin.once("drain", () => { socket.resume(); }); // prettier-ignore
    }
  });
  socket.on("error", () => undefined);
  socket.on("close", () => {
    if (child.exitCode === null && child.pid !== undefined) killWithChildren(child.pid);
  });
  child.on("error", () => { socket.close(1011); }); // prettier-ignore
  child.on("close", (code) => {
    socket.send(exitStatusFrame(code ?? 137), () => { socket.close(1000); }); // prettier-ignore
  });
}

function forward(stream: Readable, socket: WebSocket, channel: number): void {
  stream.on("data", (data: Buffer) => {
    socket.send(channelFrame(channel, data), () => {
      if (stream.isPaused() && socket.bufferedAmount < MOST_BUFFERED) stream.resume();
    });
    if (socket.bufferedAmount >= MOST_BUFFERED) stream.pause();
  });
}

/** The program behind a pty is there a few milliseconds after the request: looked for again and again. */
async function resize(root: number, { columns, rows }: { columns: number; rows: number }): Promise<void> {
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
