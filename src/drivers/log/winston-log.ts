/**
 * The log: JSON lines by winston, behind `model/log.ts`. Errors are written as class, message, code and causes, with
 * the stack only at level error; never the properties that a library hangs on them (bodies, headers).
 */
import { createLogger, format, transports } from "winston";
import type { Logger } from "winston";
import type { Log, LogFields } from "../../model/log.ts";
import { RefusedError, UnavailableError } from "../../model/errors.ts";

export const logLevels = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof logLevels)[number];

/** A log that writes one line of JSON for each entry to standard error. */
export function winstonLog(options: {
  readonly level: LogLevel;
  readonly stream?: NodeJS.WritableStream;
}): Log {
  const logger = createLogger({
    level: options.level,
    format: format.combine(format.timestamp(), format.json()),
    // winston's types give the class and the instance from two packages.
    // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment
    transports: [new transports.Stream({ stream: options.stream ?? process.stderr })],
  });
  return wrap(logger, {});
}

function wrap(logger: Logger, own: LogFields): Log {
  const write = (level: LogLevel) => (message: string, fields: LogFields) => {
    if (!logger.isLevelEnabled(level)) return;
    logger.log({ level, message, ...plainFields({ ...own, ...fields }, level === "error") });
  };
  const [debug, info, warn, error] = logLevels.map(write) as [Write, Write, Write, Write];
  return {
    debug: (message, fields = {}) => {
      debug(message, fields);
    },
    info: (message, fields = {}) => {
      info(message, fields);
    },
    warn: (message, fields = {}) => {
      warn(message, fields);
    },
    error: (message, fields = {}) => {
      error(message, fields);
    },
    child: (fields) => wrap(logger, { ...own, ...fields }),
  };
}

type Write = (message: string, fields: LogFields) => void;

/** Names that winston and the line itself use. */
const reserved: ReadonlySet<string> = new Set(["level", "message", "timestamp"]);

function plainFields(fields: LogFields, withStack: boolean): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      reserved.has(name) ? `${name}_` : name,
      value instanceof Error ? plainError(value, withStack) : value,
    ]),
  );
}

/** An error as fields. */
function plainError(error: Error, withStack: boolean): Record<string, unknown> {
  const isOurs = error instanceof UnavailableError || error instanceof RefusedError;
  const code = "code" in error && typeof error.code === "string" ? error.code : undefined;
  return {
    name: error.name,
    // client-node puts whole answers, headers included, into its messages.
    message: error.name === "ApiException" ? "[redacted]" : error.message,
    ...(isOurs && error.status !== undefined && { status: error.status }),
    ...(code !== undefined && { code }),
    ...(withStack && error.name !== "ApiException" && { stack: error.stack }),
    ...(error.cause instanceof Error && { cause: plainError(error.cause, false) }),
  };
}
