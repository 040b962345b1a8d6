/** The log as stages see it. The implementation (winston) is in `drivers/log`. Pure stages never log. */

/** What varies goes into fields; the message is constant and in lower case. Never put secrets or API error bodies here. */
export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  /** Each batch, each request: for the developer. */
  debug(message: string, fields?: LogFields): void;
  /** A person would be glad to know: synced, became leader, plan changed. */
  info(message: string, fields?: LogFields): void;
  /** Something outside fails and is retried or refused. */
  warn(message: string, fields?: LogFields): void;
  /** A bug, or an Envoy that refused what we sent. */
  error(message: string, fields?: LogFields): void;
  /** A log whose every line also holds these fields. */
  child(fields: LogFields): Log;
}
