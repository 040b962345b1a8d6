/** Numbers on the command line and in queries, within bounds. Never guesses: what is no such number is refused. */
import { InvalidArgumentError } from "commander";

/** Inclusive. */
export interface Bounds {
  readonly min: number;
  readonly max: number;
}

/** The number that a text spells in decimal digits, or undefined if it spells none or one out of bounds. */
export function wholeNumber(text: string, { min, max }: Bounds): number | undefined {
  if (!/^\d{1,15}$/.test(text)) return undefined;
  const value = Number(text);
  return value >= min && value <= max ? value : undefined;
}

/** A parser for commander's options. */
export function numberOption(bounds: Bounds): (text: string) => number {
  return (text) => {
    const value = wholeNumber(text, bounds);
    if (value === undefined)
      throw new InvalidArgumentError(`Expected a whole number from ${bounds.min} to ${bounds.max}.`);
    return value;
  };
}
