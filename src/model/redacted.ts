/** A value that no log, error message or debug page may show: bytes of a Secret. */

const inspect = Symbol.for("nodejs.util.inspect.custom");

/** Prints as `[redacted]` in JSON, in template strings and in Node's inspection. */
export class Redacted<T> {
  readonly #value: T;
  constructor(value: T) {
    this.#value = value;
  }
  /** The value itself, for the one place that needs it. */
  reveal(): T {
    return this.#value;
  }
  toJSON(): string {
    return "[redacted]";
  }
  toString(): string {
    return "[redacted]";
  }
  [inspect](): string {
    return "[redacted]";
  }
}
