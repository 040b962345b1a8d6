/** The option `-o` of commands that show something, and the showing itself. */
import { InvalidArgumentError, type Command } from "commander";

/** What `withOutput` adds. */
export interface OutputOptions {
  readonly output: "table" | "json";
}

/** Adds `-o table|json` to a command. */
export function withOutput(command: Command): Command {
  return command.option(
    "-o, --output <format>",
    "table or json",
    (value: string) => {
      if (value !== "table" && value !== "json") throw new InvalidArgumentError("it is table or json.");
      return value;
    },
    "table",
  );
}

/** Writes a text and a line's end to standard output. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
