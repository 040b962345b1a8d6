/**
 * Memory for pure functions: same input objects, same output object. Keeps a pure stage pure (the answer depends on the
 * arguments alone) while work is done only for what changed.
 */

/** Remembers the last result per key, and gives it again while every dependency is identical (`Object.is`). */
export class KeyedMemo<T> {
  #previous = new Map<string, { readonly dependencies: readonly unknown[]; readonly value: T }>();
  #current = new Map<string, { readonly dependencies: readonly unknown[]; readonly value: T }>();

  /** The value for a key: remembered if no dependency changed, else computed. */
  get(key: string, dependencies: readonly unknown[], compute: () => T): T {
    const known = this.#current.get(key) ?? this.#previous.get(key);
    const same =
      known?.dependencies.length === dependencies.length &&
      dependencies.every((dependency, index) => Object.is(dependency, known.dependencies[index]));
    const entry = same ? known : { dependencies, value: compute() };
    this.#current.set(key, entry);
    return entry.value;
  }

  /** Ends a pass: keys that were not asked for since the last call are forgotten. */
  endPass(): void {
    this.#previous = this.#current;
    this.#current = new Map();
  }
}
