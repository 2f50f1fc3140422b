// The Merkle tree of RFC 6962, section 2.1: hashes, roots, inclusion and consistency proofs, and their verification (RFC 9162, 2.1.3–2.1.4).
//
// Sizes are integers up to 2^53 - 1. Halving them is done by division, because JavaScript's shifts stop at 32 bits.
import { sha256, sha256Into } from '../protocol/hash.ts';

export const HASH_BYTES = 32;
/** The root of a tree without entries: the hash of nothing. */
export const EMPTY_ROOT: Uint8Array = sha256(new Uint8Array(0));
/** No proof is longer: a tree of 2^53 entries has 53 levels, and a consistency proof one hash more. */
export const MAX_PROOF_HASHES = 54;

/** What is hashed is written here, with its prefix before it: a new array of its own for each hash would take several times as long as the hash. */
const leafInput = new Uint8Array(1 + 65_535); // its first byte stays the prefix 0x00; an entry is at most so long (log-store.ts)
const nodeInput = new Uint8Array(1 + 2 * HASH_BYTES);
nodeInput[0] = 0x01;

/** SHA-256(0x00 || entry). */
export function leafHash(entry: Uint8Array): Uint8Array {
  if (entry.length >= leafInput.length) return sha256(Uint8Array.of(0x00), entry);
  leafInput.set(entry, 1);
  return sha256(leafInput.subarray(0, 1 + entry.length));
}

/** SHA-256(0x01 || left || right). */
export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  // What is no hash, of somebody's tile, must not be hashed with what was here before.
  if (left.length !== HASH_BYTES || right.length !== HASH_BYTES) nodeInput.fill(0, 1);
  nodeInput.set(left, 1);
  nodeInput.set(right, 1 + HASH_BYTES);
  return sha256(nodeInput);
}

/** The same of two hashes that lie one after the other in `hashes`, written there as well. */
export function nodeHashWithin(hashes: Uint8Array, left_at: number, to: number): void {
  for (let i = 0; i < 2 * HASH_BYTES; i++) nodeInput[1 + i] = hashes[left_at + i];
  sha256Into(hashes, to, nodeInput);
}

/** Reads the hash of a complete subtree: that of the entries [index * 2^height, (index + 1) * 2^height). */
export type NodeReader = (height: number, index: number) => Uint8Array;

/** A tree that only grows and knows its root. It holds one hash for each set bit of its size, however many entries there are. */
export class CompactTree {
  #size = 0;
  /** Roots of the complete subtrees that the entries fall into, largest first. */
  readonly #subtrees: Uint8Array[] = [];

  get size(): number {
    return this.#size;
  }

  /** Adds the leaf hash of the next entry. */
  append(leaf: Uint8Array): void {
    let node = leaf;
    for (let index = this.#size; index % 2 === 1; index = (index - 1) / 2) node = nodeHash(this.#subtrees.pop()!, node);
    this.#subtrees.push(node);
    this.#size++;
  }

  /** A tree of the same entries, which grows by itself. */
  copy(): CompactTree {
    const copy = new CompactTree();
    copy.#size = this.#size;
    copy.#subtrees.push(...this.#subtrees);
    return copy;
  }

  /** The root of all entries so far. */
  root(): Uint8Array {
    return this.#subtrees.length === 0
      ? EMPTY_ROOT
      : this.#subtrees.reduceRight((right, left) => nodeHash(left, right));
  }
}

/** Reads complete subtrees over leaf hashes in memory, and computes each only once. */
export function nodesOfLeaves(leaves: readonly Uint8Array[]): NodeReader {
  const levels: (readonly Uint8Array[])[] = [leaves];
  return (height, index) => {
    for (let level = levels.length; level <= height; level++) {
      const below = levels[level - 1];
      const pairs = Math.floor(below.length / 2);
      levels.push(Array.from({ length: pairs }, (_, i) => nodeHash(below[2 * i], below[2 * i + 1])));
    }
    return levels[height][index];
  };
}

/** MTH(D[0:size]), from complete subtrees. */
export function rootAt(size: number, node: NodeReader): Uint8Array {
  return size === 0 ? EMPTY_ROOT : subtreeRoot(0, size, node);
}

/** PATH(index, D[0:size]) of section 2.1.1: the sibling hashes from the leaf up. `index` must be below `size`. */
export function inclusionProof(index: number, size: number, node: NodeReader): Uint8Array[] {
  const path: Uint8Array[] = [];
  let [start, end] = [0, size];
  while (end - start > 1) {
    const middle = start + splitPoint(end - start);
    if (index < middle) {
      path.push(subtreeRoot(middle, end, node));
      end = middle;
    } else {
      path.push(subtreeRoot(start, middle, node));
      start = middle;
    }
  }
  return path.reverse();
}

/** PROOF(from, D[0:to]) of section 2.1.2: that the first `from` of `to` entries are unchanged. 0 <= from <= to. */
export function consistencyProof(from: number, to: number, node: NodeReader): Uint8Array[] {
  if (from === 0 || from === to) return [];
  const path: Uint8Array[] = [];
  let [start, end] = [0, to];
  while (end !== from) {
    const middle = start + splitPoint(end - start);
    if (from <= middle) {
      path.push(subtreeRoot(middle, end, node));
      end = middle;
    } else {
      path.push(subtreeRoot(start, middle, node));
      start = middle;
    }
  }
  // The verifier knows the old root itself when the old tree is one complete subtree.
  if (start !== 0) path.push(subtreeRoot(start, end, node));
  return path.reverse();
}

/**
 * Whether a proof shows that the entry with this leaf hash has `index` in the tree of `size` entries with this root (RFC 9162, 2.1.3.2).
 * The proof does not bind the size: take it, like the root, from a signed checkpoint.
 */
export function verifyInclusion(
  leaf: Uint8Array,
  index: number,
  size: number,
  proof: readonly Uint8Array[],
  root: Uint8Array,
): boolean {
  if (!isSize(index) || !isSize(size) || index >= size || !areHashes([leaf, root, ...proof])) return false;
  let node = index;
  let last = size - 1;
  let hash = leaf;
  for (const sibling of proof) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      hash = nodeHash(sibling, hash);
      // A node without a sibling on this level moves up unhashed.
      while (node % 2 === 0 && node !== 0) {
        node /= 2;
        last = Math.floor(last / 2);
      }
    } else {
      hash = nodeHash(hash, sibling);
    }
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 && equalHashes(hash, root);
}

/** Whether a proof shows that the tree (from, fromRoot) is a prefix of the tree (to, toRoot) (RFC 9162, 2.1.4.2). */
export function verifyConsistency(
  from: number,
  to: number,
  proof: readonly Uint8Array[],
  fromRoot: Uint8Array,
  toRoot: Uint8Array,
): boolean {
  if (!isSize(from) || !isSize(to) || from > to || !areHashes([fromRoot, toRoot, ...proof])) return false;
  if (from === 0)
    return proof.length === 0 && equalHashes(fromRoot, EMPTY_ROOT) && (to > 0 || equalHashes(toRoot, EMPTY_ROOT));
  if (from === to) return proof.length === 0 && equalHashes(fromRoot, toRoot);
  let node = from - 1;
  let last = to - 1;
  while (node % 2 === 1) {
    node = (node - 1) / 2;
    last = Math.floor(last / 2);
  }
  // node = 0: the old tree is one complete subtree, and its root starts both chains.
  const path = node === 0 ? [fromRoot, ...proof] : proof;
  if (path.length === 0) return false;
  let oldHash = path[0];
  let newHash = path[0];
  for (const sibling of path.slice(1)) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      oldHash = nodeHash(sibling, oldHash);
      newHash = nodeHash(sibling, newHash);
      while (node % 2 === 0 && node !== 0) {
        node /= 2;
        last = Math.floor(last / 2);
      }
    } else {
      newHash = nodeHash(newHash, sibling);
    }
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 && equalHashes(oldHash, fromRoot) && equalHashes(newHash, toRoot);
}

/** Whether two byte strings are equal. Hashes are public, so the comparison need not take constant time. */
export function equalHashes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** MTH(D[start:end]), where [start, end) is a range that the recursion of RFC 6962 meets: its left parts are complete. */
function subtreeRoot(start: number, end: number, node: NodeReader): Uint8Array {
  const count = end - start;
  const split = splitPoint(count);
  if (count === 1 || split * 2 === count) return node(Math.round(Math.log2(count)), start / count);
  return nodeHash(node(Math.round(Math.log2(split)), start / split), subtreeRoot(start + split, end, node));
}

/** The largest power of two below n (for n = 1: 1). Exact, because it only doubles. */
function splitPoint(n: number): number {
  let power = 1;
  while (power * 2 < n) power *= 2;
  return power;
}

function isSize(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function areHashes(values: readonly Uint8Array[]): boolean {
  return (
    values.length <= MAX_PROOF_HASHES + 2 &&
    values.every((value) => value instanceof Uint8Array && value.length === HASH_BYTES)
  );
}
