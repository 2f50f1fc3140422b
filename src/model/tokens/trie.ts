// A trie over UTF-16 units in flat memory: it finds the entries with which a text begins at a position.

const EMPTY = 0;

/** Maps texts to numbers. Children are found by hashing (node, unit); node 0 is the root, so 0 also means "none". */
export class Trie {
  #keys = new Float64Array(1024);
  #children = new Uint32Array(1024);
  #values = new Int32Array(1024).fill(-1);
  #nodes = 1;

  /** If a text is added twice, its last value counts. */
  set(text: string, value: number): void {
    let node = 0;
    for (let i = 0; i < text.length; i++)
      node = this.child(node, text.charCodeAt(i)) || this.#add(node, text.charCodeAt(i));
    this.#values[node] = value;
  }

  /** The node after `unit`, or 0. */
  child(node: number, unit: number): number {
    const key = node * 0x10000 + unit + 1;
    const mask = this.#keys.length - 1;
    let at = slot(node, unit) & mask;
    while (this.#keys[at] !== EMPTY) {
      if (this.#keys[at] === key) return this.#children[at];
      at = (at + 1) & mask;
    }
    return 0;
  }

  /** The value of the text that leads to this node, or -1. */
  value(node: number): number {
    return this.#values[node];
  }

  /** The longest entry with which the text begins at `start`, and where it ends; null where there is none. */
  longest(text: string, start: number): { readonly value: number; readonly end: number } | null {
    let found: { value: number; end: number } | null = null;
    for (let at = start, node = 0; at < text.length; at++) {
      node = this.child(node, text.charCodeAt(at));
      if (node === 0) break;
      const value = this.#values[node];
      if (value >= 0) found = { value, end: at + 1 };
    }
    return found;
  }

  #add(node: number, unit: number): number {
    if (2 * this.#nodes > this.#keys.length) this.#grow();
    const added = this.#nodes++;
    if (added >= this.#values.length) {
      const larger = new Int32Array(2 * added).fill(-1);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#insert(node * 0x10000 + unit + 1, node, unit, added);
    return added;
  }

  #insert(key: number, node: number, unit: number, child: number): void {
    const mask = this.#keys.length - 1;
    let at = slot(node, unit) & mask;
    while (this.#keys[at] !== EMPTY) at = (at + 1) & mask;
    this.#keys[at] = key;
    this.#children[at] = child;
  }

  #grow(): void {
    const [keys, children] = [this.#keys, this.#children];
    this.#keys = new Float64Array(2 * keys.length);
    this.#children = new Uint32Array(2 * keys.length);
    for (const [i, key] of keys.entries()) {
      if (key !== EMPTY) this.#insert(key, Math.floor((key - 1) / 0x10000), (key - 1) % 0x10000, children[i]);
    }
  }
}

function slot(node: number, unit: number): number {
  const hash = Math.imul(node, 0x9e3779b1) ^ Math.imul(unit, 0x85ebca6b);
  return hash ^ (hash >>> 15);
}
