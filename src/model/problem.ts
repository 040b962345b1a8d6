/** A user's mistake, as a value: it ends as a condition at the object that holds it, never as an exception. */

export interface Problem {
  /** CamelCase, one of `api/conditions.ts`. */
  readonly reason: string;
  /** What is wrong, where, and what to do about it; one or two sentences. */
  readonly message: string;
}

/** The first of these texts, and how many more there are: `a, b, c and 2 more`. */
export function firstOf(
  texts: readonly string[],
  { most = 3, between = ", " }: { readonly most?: number; readonly between?: string } = {},
): string {
  const more = texts.length > most ? ` and ${texts.length - most} more` : "";
  return `${texts.slice(0, most).join(between)}${more}`;
}

/** A condition's message has at most 32,768 characters, and one status may hold several. */
const maxMessage = 4_000;

/** One message out of all problems, in order, so that a person sees all of them and not just the first. */
export function messageOf(problems: readonly Problem[]): string {
  const message = problems.map((problem) => problem.message).join(" ");
  return message.length <= maxMessage
    ? message
    : `${message.slice(0, maxMessage)} … (${problems.length} problems)`;
}
