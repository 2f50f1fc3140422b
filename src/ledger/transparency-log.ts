// A log whose rewriting would be noticed: a LogStore, the Merkle tree over it in tiles, and checkpoints signed by the log's key.
import { assert } from '../errors.ts';
import { utf8 } from '../protocol/hash.ts';
import type { Identity } from '../protocol/identity.ts';
import { openCheckpoint, signCheckpoint } from './checkpoint.ts';
import { LedgerError } from './errors.ts';
import { originOf } from './key-names.ts';
import type { LogStore } from './log-store.ts';
import {
  consistencyProof,
  equalHashes,
  HASH_BYTES,
  inclusionProof,
  leafHash,
  type NodeReader,
  rootAt,
} from './merkle.ts';
import { makeReceipt, type Receipt } from './receipt.ts';
import { encodeEntryBundle, nodesFromTiles, TILE_WIDTH, TileNodes, tilesOfTree } from './tiles.ts';

/** A signed head of the log. `note` is what `/log/checkpoint` serves. */
export interface SignedCheckpoint {
  readonly note: string;
  readonly size: number;
  readonly root: Uint8Array;
}

/** An entry, and where it is in the log. */
export interface Placed {
  readonly index: number;
  readonly bytes: Uint8Array;
}

/** How many full tiles stay in memory with all their nodes, some 30 KiB each. A proof in a log of a million entries needs three. */
const TILE_CACHE_LIMIT = 64;
const LAST_CHECKPOINT = 'checkpoint';

/** Resolves to a head of at least so many entries, all of which this log has: one that `hear` gave. */
export type Heads = (least_size: number) => Promise<SignedCheckpoint>;

/**
 * Opens the log over a store. The store must be written through this log only. The caller closes it.
 * @param options.origin the log's name in its checkpoints; by default `potluck/` and the id of its key, so that it moves with the key.
 * Throws LedgerError `log-rewritten` when the entries are not those of the last checkpoint signed, `bad-signature` when another key or
 * origin signed that, `log-corrupt`.
 */
export function openTransparencyLog(
  store: LogStore,
  identity: Identity,
  options: { readonly origin?: string } = {},
): TransparencyLog {
  return new TransparencyLog(store, identity, options.origin ?? originOf(identity.id));
}

export class TransparencyLog {
  /** The log's name in its checkpoints. */
  readonly origin: string;
  readonly #store: LogStore;
  readonly #identity: Identity;
  #size = 0;
  /** For each level the hashes after the last full tile: fewer than 256 for each of a few levels. */
  readonly #edge: TileNodes[] = [];
  /** Recently used full tiles, the latest last. */
  readonly #cache = new Map<string, TileNodes>();
  readonly #node: NodeReader = nodesFromTiles((level, index, width) => this.#tile(level, index, width));
  #latest: { readonly size: number; readonly checkpoint: Promise<SignedCheckpoint> } | null = null;
  /** Who signs, where it is not this process. */
  #heads: Heads | null = null;

  constructor(store: LogStore, identity: Identity, origin: string) {
    this.#store = store;
    this.#identity = identity;
    this.origin = origin;
    this.#restore();
  }

  /** How many entries are durable and in the tree. */
  get size(): number {
    return this.#size;
  }

  /** The root of the first `size` entries. Throws LedgerError `out-of-range`. */
  rootAt(size: number): Uint8Array {
    this.#checkSize(size, this.#size);
    return rootAt(size, this.#node);
  }

  /** Appends entries, all or none; resolves to the index of the first once they are durable. Throws as LogStore.append does. */
  async append(entries: readonly Uint8Array[]): Promise<number> {
    const leaves = entries.map(leafHash);
    const first = await this.#store.append(entries);
    // Append calls resolve in the order of their indices, so the tree grows in order.
    if (leaves.length > 0 && first !== this.#size) {
      throw new LedgerError(
        'log-rewritten',
        `expected the next entry to have index ${this.#size}, got ${first}: something else writes to this store`,
      );
    }
    for (const leaf of leaves) this.#addLeaf(leaf);
    return first;
  }

  /** Adds entries to the tree that the store has taken already, because another process has written them into the log. */
  grow(entries: readonly Uint8Array[]): void {
    for (const entry of entries) this.#addLeaf(leafHash(entry));
    assert(this.#size <= this.#store.size, 'the tree has no entry that the store lacks');
  }

  /** Takes the heads that another process signs from now on; null: this process signs. */
  headsFrom(heads: Heads | null): void {
    this.#heads = heads;
  }

  /**
   * Verifies a head that another process has signed with the log's key; null where it has entries that are not here yet. Throws LedgerError
   * `log-rewritten` where it is the head of other entries, `malformed`, `bad-signature`.
   */
  hear(note: string): SignedCheckpoint | null {
    const { size, root } = openCheckpoint(note, { id: this.#identity.id, origin: this.origin });
    if (size > this.#size) return null;
    if (!equalHashes(this.rootAt(size), root)) throw rewritten(this.#size, size);
    this.#store.putDerived(LAST_CHECKPOINT, utf8(note));
    return { note, size, root };
  }

  /** The entries [from, to), each checked against its hash in the tree. Throws LedgerError `out-of-range`, `log-corrupt` (with the index). */
  read(from: number, to: number): Uint8Array[] {
    this.#checkSize(to, this.#size);
    const entries = this.#store.read(from, to);
    entries.forEach((entry, i) => void this.#mustBe(entry, from + i));
    return entries;
  }

  #mustBe(entry: Uint8Array, index: number): void {
    if (equalHashes(leafHash(entry), this.#node(0, index))) return;
    throw new LedgerError('log-corrupt', `entry ${index} is not the one that was appended`, { index });
  }

  /**
   * Signs the log's current head. The note stays the same until something is appended. The note is stored with the next commit; a log
   * whose entries do not fit the stored note does not open. Where another process signs, it is its newest head, of `least_size` at least.
   */
  async checkpoint(least_size = 0): Promise<SignedCheckpoint> {
    if (this.#heads) return this.#heads(least_size);
    const size = this.#size;
    if (this.#latest?.size === size) return this.#latest.checkpoint;
    const checkpoint = this.#sign(size);
    this.#latest = { size, checkpoint };
    // A failed signature is not cached: the next call tries again.
    checkpoint.catch(() => {
      if (this.#latest?.checkpoint === checkpoint) this.#latest = null;
    });
    return checkpoint;
  }

  /** The inclusion proof of entry `index` in the tree of `size` entries. Throws LedgerError `out-of-range`. */
  inclusionProof(index: number, size: number): Uint8Array[] {
    this.#checkSize(size, this.#size);
    this.#checkSize(index, size - 1);
    return inclusionProof(index, size, this.#node);
  }

  /** The consistency proof from the tree of `from` entries to that of `to`. Throws LedgerError `out-of-range`. */
  consistencyProof(from: number, to: number): Uint8Array[] {
    this.#checkSize(to, this.#size);
    this.#checkSize(from, to);
    return consistencyProof(from, to, this.#node);
  }

  /**
   * The receipt for entry `index`: proof that a signed head contains it. Throws LedgerError `out-of-range`, `log-corrupt`.
   * @param entry its bytes, where the caller has them: it need not be read, but is checked like one that is
   */
  async receipt(index: number, entry?: Uint8Array): Promise<Receipt> {
    const { note, size } = await this.checkpoint(index + 1);
    const proof = this.inclusionProof(index, size);
    if (entry) this.#mustBe(entry, index);
    return makeReceipt({ entry: entry ?? this.read(index, index + 1)[0], index, note, proof });
  }

  /** What receipts for entries prove, all in one head: for each the hashes of its proof, one after the other. Throws as `receipt` does. */
  async proofs(entries: readonly Placed[]): Promise<{ readonly note: string; readonly proofs: Uint8Array[] }> {
    const { note, size } = await this.checkpoint(Math.max(...entries.map(({ index }) => index)) + 1);
    const proofs = entries.map(({ index, bytes }) => {
      const hashes = this.inclusionProof(index, size);
      this.#mustBe(bytes, index);
      const proof = new Uint8Array(hashes.length * HASH_BYTES);
      for (const [i, hash] of hashes.entries()) proof.set(hash, i * HASH_BYTES);
      return proof;
    });
    return { note, proofs };
  }

  /** A tile's bytes for tile/<level>/<index>[.p/<width>] (tiles.ts); null where the tree has no tile of that width. */
  tile(level: number, index: number, width = TILE_WIDTH): Uint8Array | null {
    return width >= 1 && width <= this.#width(level, index) ? this.#tile(level, index, width).toBytes(width) : null;
  }

  /** A bundle's bytes for tile/entries/<index>[.p/<width>]; null where the log has no bundle of that width. */
  entryBundle(index: number, width = TILE_WIDTH): Uint8Array | null {
    if (!(width >= 1 && width <= this.#width(0, index))) return null;
    return encodeEntryBundle(this.#store.read(index * TILE_WIDTH, index * TILE_WIDTH + width));
  }

  async #sign(size: number): Promise<SignedCheckpoint> {
    const root = this.rootAt(size);
    const note = await signCheckpoint(this.#identity, { origin: this.origin, size, root });
    this.#store.putDerived(LAST_CHECKPOINT, utf8(note));
    return { note, size, root };
  }

  #addLeaf(leaf: Uint8Array): void {
    let hash = leaf;
    this.#size++;
    for (let level = 0; ; level++) {
      this.#edge[level] ??= new TileNodes();
      const tile = this.#edge[level];
      tile.push(hash);
      if (tile.width < TILE_WIDTH) return;
      this.#keep(level, Math.floor(this.#size / TILE_WIDTH ** (level + 1)) - 1, tile);
      this.#edge[level] = new TileNodes();
      hash = tile.root;
    }
  }

  /** Keeps a full tile: its 256 hashes, then its root, so that opening a log need not hash every tile. */
  #keep(level: number, index: number, tile: TileNodes): void {
    this.#store.putDerived(tileKey(level, index), bytesWithRoot(tile));
    this.#remember(tileKey(level, index), tile);
  }

  #remember(key: string, tile: TileNodes): void {
    this.#cache.delete(key);
    this.#cache.set(key, tile);
    if (this.#cache.size > TILE_CACHE_LIMIT) this.#cache.delete(this.#cache.keys().next().value!);
  }

  /** How many hashes a tile has at the current size. */
  #width(level: number, index: number): number {
    if (!Number.isSafeInteger(index) || index < 0 || !Number.isInteger(level) || level < 0) return 0;
    const hashes = Math.floor(this.#size / TILE_WIDTH ** level);
    return Math.max(0, Math.min(TILE_WIDTH, hashes - index * TILE_WIDTH));
  }

  /** A tile at the current size, with at least `width` hashes. */
  #tile(level: number, index: number, width: number): TileNodes {
    const available = this.#width(level, index);
    if (width > available) {
      throw new LedgerError('out-of-range', `tile ${index} of level ${level} has ${available} hashes, not ${width}`);
    }
    if (available < TILE_WIDTH) return this.#edge[level];
    const key = tileKey(level, index);
    const cached = this.#cache.get(key);
    if (cached) {
      this.#remember(key, cached);
      return cached;
    }
    const kept = this.#kept(level, index);
    const tile = TileNodes.fromBytes(kept.subarray(0, TILE_WIDTH * HASH_BYTES));
    this.#remember(key, tile);
    return tile;
  }

  /** The stored bytes of a full tile: its hashes and its root. A tile lost in a crash is computed again from the level below. */
  #kept(level: number, index: number): Uint8Array {
    const kept = this.#store.getDerived(tileKey(level, index));
    if (kept?.length === (TILE_WIDTH + 1) * HASH_BYTES) return kept;
    const tile = new TileNodes();
    for (const hash of this.#hashesBelow(level, index * TILE_WIDTH, (index + 1) * TILE_WIDTH)) tile.push(hash);
    this.#keep(level, index, tile);
    return bytesWithRoot(tile);
  }

  /** The hashes [from, to) of a level, from the level below it. */
  #hashesBelow(level: number, from: number, to: number): Uint8Array[] {
    if (level === 0) return this.#store.read(from, to).map(leafHash);
    return Array.from({ length: to - from }, (_, i) => this.#kept(level - 1, from + i).slice(TILE_WIDTH * HASH_BYTES));
  }

  /** Rebuilds the right edge of the tree, and checks that the log continues the head that this key last signed. */
  #restore(): void {
    this.#size = this.#store.size;
    for (const { level, full, partial_width } of tilesOfTree(this.#size)) {
      const start = full * TILE_WIDTH;
      this.#edge[level] = new TileNodes();
      for (const hash of this.#hashesBelow(level, start, start + partial_width)) this.#edge[level].push(hash);
    }
    const bytes = this.#store.getDerived(LAST_CHECKPOINT);
    if (!bytes) return;
    const signed = openCheckpoint(new TextDecoder().decode(bytes), { id: this.#identity.id, origin: this.origin });
    if (signed.size > this.#size || !equalHashes(this.rootAt(signed.size), signed.root)) {
      throw rewritten(this.#size, signed.size);
    }
  }

  #checkSize(value: number, limit: number): void {
    if (!Number.isSafeInteger(value) || value < 0 || value > limit) {
      throw new LedgerError('out-of-range', `expected an index or size from 0 to ${limit}, got ${value}`, { limit });
    }
  }
}

function rewritten(size: number, signed_size: number): LedgerError {
  const message = `the log has ${size} entries that do not continue the ${signed_size} entries signed before`;
  return new LedgerError('log-rewritten', message, { size, signed_size });
}

function tileKey(level: number, index: number): string {
  return `tile/${level}/${index}`;
}

function bytesWithRoot(tile: TileNodes): Uint8Array {
  const bytes = new Uint8Array((TILE_WIDTH + 1) * HASH_BYTES);
  bytes.set(tile.toBytes());
  bytes.set(tile.root, TILE_WIDTH * HASH_BYTES);
  return bytes;
}
