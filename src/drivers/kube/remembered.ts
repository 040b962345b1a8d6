/** A credential that is made, or read from a file, anew from time to time. */

/** How long one is used: token files, and programs that make tokens, are asked again well before a token can end. */
const defaultUseMs = 15_000;

/** Asks `read` at most once in so many milliseconds, and again after it has failed. */
export function remembered(
  read: () => Promise<string | undefined>,
  useMs = defaultUseMs,
): () => Promise<string | undefined> {
  let value: Promise<string | undefined> | undefined;
  let readAt = 0;
  return async () => {
    const now = performance.now();
    if (value === undefined || now - readAt > useMs) {
      readAt = now;
      value = read();
      value.catch(() => (value = undefined));
    }
    return await value;
  };
}
