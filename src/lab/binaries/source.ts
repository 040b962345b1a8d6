/** What all sources of binaries have in common; nothing here does anything. */

/** How a run tells a person what it does, and how it is stopped. */
export interface Context {
  /** Gets one line, without a line end, for a person to follow. */
  readonly progress: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/** One way to get a program. Sources are tried in order until one works. */
export interface Source {
  /** For people: "official release", "Go build". */
  readonly label: string;
  /**
   * Puts the program into the folder, executable or not, and gives one line about where it came from.
   * @throws Error with a one-line message when it can't; the next source is then tried.
   */
  readonly fill: (folder: string, context: Context) => Promise<string>;
}

/** What a release calls this machine's processor; x64 and arm64 are what all of the programs are released for. */
export function goArchitecture(): "amd64" | "arm64" {
  if (process.arch === "x64") return "amd64";
  if (process.arch === "arm64") return "arm64";
  throw new Error(`the lab's programs exist for x86_64 and arm64, not for ${process.arch}`);
}

/** Passes a line on at most every `everyMs`, so that a log without a terminal stays readable. */
export function seldom(progress: (line: string) => void, everyMs: number): (line: string) => void {
  let next = Date.now() + everyMs;
  return (line) => {
    if (Date.now() < next) return;
    next = Date.now() + everyMs;
    progress(line);
  };
}
