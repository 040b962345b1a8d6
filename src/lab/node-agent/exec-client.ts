/** What `kubectl exec` looks like to the command that it starts, whichever way the client came. Here are the words only. */
import type { Readable, Writable } from "node:stream";

/** A size of a terminal, in characters. */
export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

/** A client that waits for a command. Streams that it did not ask for are undefined. */
export interface ExecClient {
  readonly stdin: Readable | undefined;
  readonly stdout: Writable | undefined;
  readonly stderr: Writable | undefined;
  /** Calls back for each size that the client's terminal takes. */
  readonly onResize: (listener: (size: TerminalSize) => void) => void;
  /** Calls back once, when the client has left. */
  readonly onGone: (listener: () => void) => void;
  /** Tells how the command ended, and closes. What was written before is sent first. */
  readonly finish: (exitCode: number) => void;
}

/** Reads a terminal's size as clients write it; undefined when it is none. */
export function parseTerminalSize(text: string): TerminalSize | undefined {
  const match = /"Width":(\d+).*"Height":(\d+)/s.exec(text);
  return match === null ? undefined : { columns: Number(match[1]), rows: Number(match[2]) };
}

/** The last word of an exec, as JSON: a Status of Kubernetes. */
export function exitStatus(exitCode: number): string {
  const status =
    exitCode === 0
      ? { metadata: {}, status: "Success" }
      : {
          metadata: {},
          status: "Failure",
          message: `command terminated with non-zero exit code: exit ${exitCode}`,
          reason: "NonZeroExitCode",
          details: { causes: [{ reason: "ExitCode", message: String(exitCode) }] },
        };
  return JSON.stringify(status);
}
