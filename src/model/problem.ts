/** A user's mistake, as a value: it ends as a condition at the object that holds it, never as an exception. */

export interface Problem {
  /** CamelCase, one of `api/conditions.ts`. */
  readonly reason: string;
  /** What is wrong, where, and what to do about it; one or two sentences. */
  readonly message: string;
}

/** One message out of all problems, in order, so that a person sees all of them and not just the first. */
export function messageOf(problems: readonly Problem[]): string {
  return problems.map((problem) => problem.message).join(" ");
}
