/**
 * Answers of an API server that are no success, and connections that broke, as the project's two errors.
 *
 * Never puts a body or a header into a message: only the `message` field of the API's Status, short, and not even that
 * where the request was about a Secret.
 */
import { RefusedError, UnavailableError } from "../../model/errors.ts";

const maxMessage = 300;

/** An answer with a status of 300 or more. */
export interface FailedAnswer {
  /** What was asked: `list services`. */
  readonly action: string;
  readonly status: number;
  /** The parsed body, whatever it was. */
  readonly body: unknown;
  /** The Retry-After header, in seconds. */
  readonly retryAfter: string | undefined;
  /** The request was about a Secret: nothing of the answer may be told. */
  readonly secret: boolean;
}

/** The error for an answer that is no success. */
export function answerError(answer: FailedAnswer): UnavailableError | RefusedError {
  const said = answer.secret ? "" : apiMessage(answer.body);
  const message = `${answer.action} failed with status ${answer.status}${said === "" ? "" : `: ${said}`}`;
  const { status } = answer;
  if (status !== 409 && status !== 429 && status < 500) return new RefusedError(message, { status });
  return new UnavailableError(message, { status, retryAfterMs: retryAfterMs(answer.retryAfter) });
}

/** The error for a request that got no answer, or an answer that broke off. */
export function connectionError(action: string, cause: unknown): UnavailableError {
  const code = codeOf(cause);
  return new UnavailableError(`${action} got no answer${code === undefined ? "" : ` (${code})`}`, { cause });
}

function retryAfterMs(header: string | undefined): number | undefined {
  const seconds = Number(header);
  return header === undefined || !Number.isFinite(seconds) || seconds < 0 ? undefined : seconds * 1000;
}

function apiMessage(body: unknown): string {
  if (typeof body !== "object" || body === null || !("message" in body) || typeof body.message !== "string")
    return "";
  // Control characters could forge lines in a log.
  const clean = body.message.replaceAll(/\p{Cc}+/gu, " ");
  return clean.length > maxMessage ? `${clean.slice(0, maxMessage)}...` : clean;
}

function codeOf(cause: unknown): string | undefined {
  if (!(cause instanceof Error)) return undefined;
  if ("code" in cause && typeof cause.code === "string") return cause.code;
  return cause.cause instanceof Error ? codeOf(cause.cause) : cause.name === "Error" ? undefined : cause.name;
}
