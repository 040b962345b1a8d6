/**
 * Runs one of the bench programs with a network of its own, in which it may open any port and take any address, and with
 * its own processes: whatever it starts ends with it, also when it is killed.
 *
 *     this process ─ setpriv ─ unshare ─ sh (process 1 there) ─ node <program>
 */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { hostEnvironment } from "../src/lab/host-check.ts";

const unshare = ["unshare", "-Urnm", "--pid", "--fork", "--kill-child", "--mount-proc"];
/** sh stays, to be the parent of orphans. */
const init = 'ip link set lo up; ip address add "$1" dev lo; shift; exec 3<&0; "$@" <&3 & exec 3<&-; wait $!';

/** Gives the program its task as JSON and gets its result back; what it says on standard error is passed on line by line. */
export async function runInPrivateNetwork<Result>(
  {
    program,
    address,
    folder,
    progress,
    signal,
  }: {
    /** Its file in this folder. */
    readonly program: string;
    /** That it has beside the loopback's own. */
    readonly address: string;
    /** For temporary files. */
    readonly folder: string;
    readonly progress: (line: string) => void;
    readonly signal: AbortSignal;
  },
  task: unknown,
): Promise<Result> {
  const words = [process.execPath, join(import.meta.dirname, program)];
  const child = spawn(
    "setpriv",
    ["--pdeathsig", "KILL", ...unshare, "sh", "-ec", init, "init", address, ...words],
    { env: { ...hostEnvironment(), TMPDIR: folder }, signal, killSignal: "SIGKILL" },
  );
  const output: Buffer[] = [];
  const said: string[] = [];
  child.stdout.on("data", (bytes: Buffer) => output.push(bytes));
  let rest = "";
  child.stderr.on("data", (bytes: Buffer) => {
    const lines = (rest + bytes.toString()).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) progress(line);
    said.push(...lines);
  });
  child.stdin.on("error", () => undefined);
  child.stdin.end(JSON.stringify(task));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  if (code !== 0) throw new Error(`${program} failed: ${[...said, rest].slice(-20).join("\n")}`);
  return JSON.parse(Buffer.concat(output).toString()) as Result;
}
