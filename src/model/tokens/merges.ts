// The merge loop of byte-pair encoding: it merges the pair of the lowest rank first, and of equal ones the leftmost.
import type { IdList } from './id-list.ts';

const EMPTY = 0xffff_ffff;

/** Maps a pair of tokens to the rank of its merge and the token that it makes: open addressing in flat memory. */
export class MergeTable {
  readonly #mask: number;
  readonly #left: Uint32Array;
  readonly #right: Uint32Array;
  readonly #rank: Uint32Array;
  readonly #product: Uint32Array;

  constructor(merges: number) {
    const capacity = 2 ** Math.ceil(Math.log2(Math.max(4, 3 * merges)));
    this.#mask = capacity - 1;
    this.#left = new Uint32Array(capacity).fill(EMPTY);
    this.#right = new Uint32Array(capacity);
    this.#rank = new Uint32Array(capacity);
    this.#product = new Uint32Array(capacity);
  }

  /** If a pair has several merges, the last one counts. */
  set(left: number, right: number, rank: number, product: number): void {
    const at = this.#slot(left, right);
    this.#left[at] = left;
    this.#right[at] = right;
    this.#rank[at] = rank;
    this.#product[at] = product;
  }

  /** The slot of a pair, or -1. */
  find(left: number, right: number): number {
    const at = this.#slot(left, right);
    return this.#left[at] === EMPTY ? -1 : at;
  }

  rank(at: number): number {
    return this.#rank[at];
  }

  product(at: number): number {
    return this.#product[at];
  }

  #slot(left: number, right: number): number {
    let at = (Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b)) >>> 0;
    at = (at ^ (at >>> 15)) & this.#mask;
    while (this.#left[at] !== EMPTY && (this.#left[at] !== left || this.#right[at] !== right))
      at = (at + 1) & this.#mask;
    return at;
  }
}

/** The symbols of a word, in memory that is reused for the next word. */
export class Symbols {
  ids = new Uint32Array(256);
  length = 0;

  clear(): void {
    this.length = 0;
  }

  push(id: number): void {
    if (this.length === this.ids.length) {
      const larger = new Uint32Array(2 * this.length);
      larger.set(this.ids);
      this.ids = larger;
    }
    this.ids[this.length++] = id;
  }
}

/** Up to this many symbols, scanning all pairs after each merge is faster than keeping them in a heap. */
const FEW_SYMBOLS = 24;

/** Appends the tokens that the merges make of the symbols. */
export function mergeSymbols(symbols: Symbols, table: MergeTable, ids: IdList): void {
  if (symbols.length <= FEW_SYMBOLS) mergeFew(symbols, table);
  else mergeMany(symbols, table);
  for (let i = 0; i < symbols.length; i++) ids.push(symbols.ids[i]);
}

const ranks = new Float64Array(FEW_SYMBOLS);

function mergeFew(symbols: Symbols, table: MergeTable): void {
  const { ids } = symbols;
  const rankAt = (i: number): number => {
    const found = table.find(ids[i], ids[i + 1]);
    return found < 0 ? Number.POSITIVE_INFINITY : table.rank(found);
  };
  for (let i = 0; i + 1 < symbols.length; i++) ranks[i] = rankAt(i);
  for (;;) {
    let best = -1;
    let lowest = Number.POSITIVE_INFINITY;
    for (let i = 0; i + 1 < symbols.length; i++) {
      if (ranks[i] < lowest) {
        lowest = ranks[i];
        best = i;
      }
    }
    if (best < 0) return;
    ids[best] = table.product(table.find(ids[best], ids[best + 1]));
    ids.copyWithin(best + 1, best + 2, symbols.length);
    ranks.copyWithin(best, best + 1, symbols.length - 1);
    symbols.length--;
    if (best > 0) ranks[best - 1] = rankAt(best - 1);
    if (best + 1 < symbols.length) ranks[best] = rankAt(best);
  }
}

/** A linked list of symbols, and a heap of (rank, place) packed into doubles: both have at most 26 bits. */
function mergeMany(symbols: Symbols, table: MergeTable): void {
  const { ids, length } = symbols;
  const next = new Int32Array(length);
  const previous = new Int32Array(length);
  const heap = new Heap(length);
  const offer = (at: number): void => {
    const right = next[at];
    if (right >= length) return;
    const found = table.find(ids[at], ids[right]);
    if (found >= 0) heap.push(table.rank(found) * length + at);
  };
  for (let i = 0; i < length; i++) {
    next[i] = i + 1;
    previous[i] = i - 1;
  }
  for (let i = 0; i + 1 < length; i++) offer(i);
  for (let key = heap.pop(); key >= 0; key = heap.pop()) {
    const at = key % length;
    if (next[at] < 0 || next[at] >= length) continue;
    const right = next[at];
    const found = table.find(ids[at], ids[right]);
    // Another merge came first, so the pair has changed.
    if (found < 0 || table.rank(found) * length + at !== key) continue;
    ids[at] = table.product(found);
    next[at] = next[right];
    if (next[at] < length) previous[next[at]] = at;
    next[right] = -1;
    if (previous[at] >= 0) offer(previous[at]);
    offer(at);
  }
  let count = 0;
  for (let i = 0; i < length; i = next[i]) ids[count++] = ids[i];
  symbols.length = count;
}

/** A binary heap of numbers, the smallest first. */
class Heap {
  #keys: Float64Array;
  #size = 0;

  constructor(capacity: number) {
    this.#keys = new Float64Array(Math.max(16, capacity));
  }

  push(key: number): void {
    if (this.#size === this.#keys.length) {
      const larger = new Float64Array(2 * this.#size);
      larger.set(this.#keys);
      this.#keys = larger;
    }
    const keys = this.#keys;
    let at = this.#size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (keys[parent] <= key) break;
      keys[at] = keys[parent];
      at = parent;
    }
    keys[at] = key;
  }

  /** Removes the smallest key; -1 when the heap is empty. */
  pop(): number {
    if (this.#size === 0) return -1;
    const keys = this.#keys;
    const least = keys[0];
    const last = keys[--this.#size];
    const size = this.#size;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      if (child + 1 < size && keys[child + 1] < keys[child]) child++;
      if (keys[child] >= last) break;
      keys[at] = keys[child];
      at = child;
    }
    keys[at] = last;
    return least;
  }
}
