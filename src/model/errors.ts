/** The outside world's failures: thrown by drivers only, always with `cause`. The stage's loop decides on a retry. */

/** May succeed when tried again: no answer, 409, 429, 5xx. */
export class UnavailableError extends Error {
  override readonly name = "UnavailableError";
  /** How long the server asked us to wait, in milliseconds. */
  readonly retryAfterMs: number | undefined;
  /** HTTP status; undefined where there was no answer. */
  readonly status: number | undefined;
  constructor(
    message: string,
    options: { cause?: unknown; retryAfterMs?: number | undefined; status?: number | undefined } = {},
  ) {
    super(message, { cause: options.cause });
    this.retryAfterMs = options.retryAfterMs;
    this.status = options.status;
  }
}

/** Will fail again until something else changes: 4xx other than 409 and 429. */
export class RefusedError extends Error {
  override readonly name = "RefusedError";
  /** HTTP status. */
  readonly status: number | undefined;
  constructor(message: string, options: { cause?: unknown; status?: number | undefined } = {}) {
    super(message, { cause: options.cause });
    this.status = options.status;
  }
}

/** A mistake at the command line or a machine that lacks something: one line for the person, exit code 2, no stack. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
