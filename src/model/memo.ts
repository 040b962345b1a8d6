/**
 * Memory for pure functions: same input objects, same output object. Keeps a pure stage pure (the answer depends on the
 * arguments alone) while work is done only for what changed.
 */

interface Remembered<T> {
  readonly dependencies: readonly unknown[];
  readonly value: T;
  /** The last pass that asked for it. */
  pass: number;
}

/** Remembers the last result per key, and gives it again while every dependency is identical (`Object.is`). */
export class KeyedMemo<T> {
  readonly #entries = new Map<string, Remembered<T>>();
  #pass = 0;
  /** How many entries the present pass has asked for. */
  #asked = 0;

  /** The value for a key: remembered if no dependency changed, else computed (and told what it was before, if known). */
  get(key: string, dependencies: readonly unknown[], compute: (previous: T | undefined) => T): T {
    const known = this.#entries.get(key);
    if (known !== undefined && areSame(known.dependencies, dependencies)) {
      if (known.pass !== this.#pass) this.#asked++;
      known.pass = this.#pass;
      return known.value;
    }
    const value = compute(known?.value);
    if (this.#entries.get(key)?.pass !== this.#pass) this.#asked++;
    this.#entries.set(key, { dependencies, value, pass: this.#pass });
    return value;
  }

  /** Ends a pass: keys that were not asked for since the last call are forgotten. */
  endPass(): void {
    if (this.#asked < this.#entries.size) {
      for (const [key, { pass }] of this.#entries) if (pass !== this.#pass) this.#entries.delete(key);
    }
    this.#pass++;
    this.#asked = 0;
  }
}

/** Gives the Map of the last call again while it holds the same values under the same keys in the same order. */
export class MapMemo<T> {
  #last: ReadonlyMap<string, T> | undefined;

  same(map: ReadonlyMap<string, T>): ReadonlyMap<string, T> {
    if (this.#last === undefined || !haveSameEntries(this.#last, map)) this.#last = map;
    return this.#last;
  }
}

/** Gives the keys of a Map, as the same list while they are the same in the same order. */
export class KeysMemo {
  #last: readonly string[] = [];

  same(map: ReadonlyMap<string, unknown>): readonly string[] {
    let index = 0;
    let isSame = map.size === this.#last.length;
    for (const key of map.keys()) {
      if (!isSame) break;
      isSame = key === this.#last[index++];
    }
    if (!isSame) this.#last = [...map.keys()];
    return this.#last;
  }
}

function haveSameEntries(a: ReadonlyMap<string, unknown>, b: ReadonlyMap<string, unknown>): boolean {
  if (a === b) return true;
  if (a.size !== b.size) return false;
  const others = b.entries();
  for (const [key, value] of a) {
    const [otherKey, other] = others.next().value ?? [];
    if (key !== otherKey || !Object.is(value, other)) return false;
  }
  return true;
}

/** Whether two lists hold identical items (`Object.is`) in the same order. */
export function areSame(a: readonly unknown[], b: readonly unknown[]): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) if (!Object.is(a[index], b[index])) return false;
  return true;
}
