// A growing list of token ids.

export class IdList {
  #ids: Uint32Array;
  length = 0;

  constructor(capacity = 1024) {
    this.#ids = new Uint32Array(capacity);
  }

  push(id: number): void {
    if (this.length === this.#ids.length) this.#grow(this.length + 1);
    this.#ids[this.length++] = id;
  }

  pushAll(ids: ArrayLike<number>): void {
    if (this.length + ids.length > this.#ids.length) this.#grow(this.length + ids.length);
    for (let i = 0; i < ids.length; i++) this.#ids[this.length++] = ids[i];
  }

  /** A copy of the ids from `from` on. */
  toArray(from = 0): Uint32Array {
    return this.#ids.slice(from, this.length);
  }

  #grow(least: number): void {
    const larger = new Uint32Array(Math.max(least, 2 * this.#ids.length));
    larger.set(this.#ids);
    this.#ids = larger;
  }
}
