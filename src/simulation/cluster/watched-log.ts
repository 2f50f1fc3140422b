// What must hold of the log of a hub of several processes, watched from outside: one chain of batches, one tree, nothing twice, and whatever
// anybody was answered is in it.
import { decodeEvent } from '../../core/codec.ts';
import type { LoggedEvent } from '../../core/events.ts';
import { core } from '../../core/reduce.ts';
import { initialState, type NetworkState } from '../../core/state.ts';
import { stateHash } from '../../core/state-bytes.ts';
import { openCheckpoint } from '../../ledger/checkpoint.ts';
import { decodeBatch } from '../../ledger/journal.ts';
import { originOf } from '../../ledger/key-names.ts';
import { CompactTree, leafHash } from '../../ledger/merkle.ts';
import { type Receipt, verifyReceipt } from '../../ledger/receipt.ts';
import { sha256, sha256Hex } from '../../protocol/hash.ts';

/** Where a batch names the one before (ledger/journal.ts, encodeBatch). */
const PREV = [24, 56] as const;
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
/** The object of a batch (ledger/object-journal.ts). */
export const nameOfBatch = (number: number): string => `batch/${String(number).padStart(16, '0')}`;

export class WatchedLog {
  readonly state: NetworkState;
  /** The events of the chain, by index. */
  readonly ids: string[] = [];
  /** How many acknowledged events the journal lacks, and how many it has more than once. */
  lost = 0;
  doubled = 0;
  readonly #hub: string;
  readonly #fail: (what: string) => void;
  readonly #onEvent: (event: LoggedEvent) => void;
  readonly #index = new Map<string, number>();
  readonly #tree = new CompactTree();
  /** The root of the tree, and the hash of the state, after so many entries. */
  readonly #roots: string[];
  readonly #states: string[];
  #next = 0;
  #prev: Uint8Array = new Uint8Array(32);
  readonly #objects: ReadonlyMap<string, Uint8Array>;

  constructor(
    hub: string,
    objects: ReadonlyMap<string, Uint8Array>,
    fail: (what: string) => void,
    onEvent: (event: LoggedEvent) => void,
  ) {
    this.#hub = hub;
    this.#objects = objects;
    this.#fail = fail;
    this.#onEvent = onEvent;
    this.state = initialState(hub);
    this.#roots = [hex(this.#tree.root())];
    this.#states = [stateHash(this.state)];
  }

  get size(): number {
    return this.ids.length;
  }

  has(id: string): boolean {
    return this.#index.has(id);
  }

  /** Takes in what the journal has now. */
  follow(): void {
    for (;;) {
      const bytes = this.#objects.get(nameOfBatch(this.#next));
      if (!bytes) return;
      const { number, first, entries } = decodeBatch(bytes);
      if (number !== this.#next || first !== this.size || hex(bytes.slice(...PREV)) !== hex(this.#prev)) {
        this.#fail(`batch ${this.#next} does not follow from the one before: the journal is not one chain`);
      }
      this.#prev = sha256(bytes);
      this.#next++;
      for (const entry of entries) this.#take(entry);
    }
  }

  #take(entry: Uint8Array): void {
    const index = this.size;
    const event = decodeEvent(entry, { verify_signature: false });
    const before = this.#index.get(event.id);
    if (before !== undefined) this.doubled++;
    if (before !== undefined) this.#fail(`event ${event.id} is in the log twice, at ${before} and at ${index}`);
    const refusal = core.apply(this.state, event);
    if (refusal) this.#fail(`a replay refuses event ${index} of the log: ${refusal.message}`);
    this.#index.set(event.id, index);
    this.ids.push(event.id);
    this.#tree.append(leafHash(entry));
    this.#roots.push(hex(this.#tree.root()));
    this.#states.push(stateHash(this.state));
    this.#onEvent(event);
  }

  /** Somebody was answered that an event is in the log. */
  acknowledged(event: Uint8Array, receipt: Receipt): void {
    const id = sha256Hex(event);
    const there = this.#index.get(id);
    const { index, size, root } = verifyReceipt(receipt, event, this.#hub);
    if (there === undefined) this.lost++;
    if (there === undefined) this.#fail(`event ${id} was acknowledged at ${index} and is not in the journal`);
    else if (there !== index) this.#fail(`event ${id} was acknowledged at ${index} and is at ${there}`);
    this.#head(size, root);
  }

  /** Somebody was shown a signed head. */
  shown(note: string): void {
    const { size, root } = openCheckpoint(note, { id: this.#hub, origin: originOf(this.#hub) });
    this.#head(size, root);
  }

  #head(size: number, root: Uint8Array): void {
    if (size > this.size) this.#fail(`a head of ${size} entries is signed, the journal has ${this.size}`);
    else if (this.#roots[size] !== hex(root)) this.#fail(`two heads of ${size} entries: the hub shows two trees`);
  }

  /** What one process has: a beginning of the log. */
  mustBeBeginning(who: string, size: number, root: Uint8Array, state: NetworkState): void {
    if (size > this.size) this.#fail(`${who} has ${size} entries, the journal ${this.size}`);
    else if (this.#roots[size] !== hex(root)) this.#fail(`${who} has another tree of ${size} entries than the journal`);
    // A leader's state is ahead of its log while it writes.
    else if (state.events === size && this.#states[size] !== stateHash(state)) {
      this.#fail(`the state of ${who} after ${size} events is not what follows from the log`);
    }
  }
}
