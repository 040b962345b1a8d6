/**
 * Names whose answer is awaited. They hold something up, most only for a while: then it goes on, and they alone are waited
 * for.
 */
export class Awaited {
  /** What never gives way. */
  readonly #firm = new Set<string>();
  readonly #due = new Set<string>();
  readonly #late = new Set<string>();

  /** How many hold something up. */
  get size(): number {
    return this.#firm.size + this.#due.size;
  }

  /** Whether its answer is awaited, however long. */
  has(name: string): boolean {
    return this.#firm.has(name) || this.#due.has(name) || this.#late.has(name);
  }

  /** From now on it is awaited. */
  add(name: string): void {
    this.#late.delete(name);
    this.#due.add(name);
  }

  /** From now on it is awaited, until it is answered. */
  insist(name: string): void {
    this.#firm.add(name);
  }

  /** It was answered, or is no longer needed. */
  delete(name: string): void {
    this.#firm.delete(name);
    this.#due.delete(name);
    this.#late.delete(name);
  }

  /** Names hold nothing up any more. False if there are some that never give way. */
  giveWay(): boolean {
    for (const name of this.#due) this.#late.add(name);
    this.#due.clear();
    return this.#firm.size === 0;
  }

  /** All that are awaited. */
  [Symbol.iterator](): IterableIterator<string> {
    return new Set([...this.#firm, ...this.#due, ...this.#late]).values();
  }
}
