// What workers of stages carry whose rounds this judge has repeated: in its drawer, because it is as large as three stages for each of them.
import type { ParameterSpec } from '../../model/config.ts';
import type { Drawer } from '../drawer.ts';
import type { Device } from '../game.ts';
import { emptySlot, type KeptPieces, keepInSlot, piecesIn, putPiece, takeCarried } from '../pretrain/carried.ts';
import { parameterCount } from '../pretrain/params.ts';

/** What a worker carries, as somebody has it who has repeated its rounds. */
export interface Followed {
  /** The round that left it. */
  readonly round: number;
  /** How far the last update was from the repeated one. */
  readonly apart: number;
  readonly pieces: KeptPieces;
}

interface Kept extends Followed {
  readonly slot: string;
  readonly specs: readonly ParameterSpec[];
}

/** Of more the oldest are forgotten. */
export const FOLLOWED_BYTES = 1 << 30;

const all = new WeakMap<Device, FollowedStates>();

/** What this device has followed. */
export function followedBy(device: Device): FollowedStates {
  const known = all.get(device);
  if (known) return known;
  const opened = new FollowedStates(device.drawer);
  all.set(device, opened);
  return opened;
}

/** One call at a time. What a process before has left in the drawer is written over: nobody knows what it is. */
export class FollowedStates {
  readonly #drawer: Drawer;
  readonly #most_bytes: number;
  /** By the hashes that workers gave them, oldest first. */
  readonly #kept = new Map<string, Kept>();

  constructor(drawer: Drawer, most_bytes: number = FOLLOWED_BYTES) {
    this.#drawer = drawer;
    this.#most_bytes = most_bytes;
  }

  /** What a worker carries that left a state with this hash, if this device has repeated the round in which it did. */
  find(hash: string): Followed | undefined {
    return this.#kept.get(hash);
  }

  /**
   * Keeps what repeated work leaves, in the order of keepInSlot, under the hash that its worker gave it: until the end of the next round, which may go
   * on from it.
   */
  async keep(
    specs: readonly ParameterSpec[],
    hash: string,
    about: Pick<Followed, 'round' | 'apart'>,
    tensors: AsyncIterable<Float32Array>,
  ): Promise<void> {
    const slot = await this.#freeSlot(specs, hash, about.round);
    await keepInSlot(specs, this.#drawer, slot, tensors);
    this.#remember(specs, hash, slot, about);
  }

  /** The same for a state that somebody shows, proven by its hash; null: it is not whole. */
  async keepShown(
    specs: readonly ParameterSpec[],
    hash: string,
    round: number,
    shown: KeptPieces,
  ): Promise<Followed | null> {
    const slot = await this.#freeSlot(specs, hash, round);
    const copied: KeptPieces = async (part) => {
      const bytes = await shown(part);
      if (bytes) await putPiece(this.#drawer, slot, part, bytes);
      return bytes;
    };
    const isIt = async (found: string): Promise<boolean> => found === hash;
    if (await takeCarried(specs, copied, isIt, () => {})) return this.#remember(specs, hash, slot, { round, apart: 0 });
    await emptySlot(specs, this.#drawer, slot);
    return null;
  }

  #remember(specs: readonly ParameterSpec[], hash: string, slot: string, about: Pick<Followed, 'round' | 'apart'>) {
    const kept: Kept = { ...about, slot, specs, pieces: piecesIn(this.#drawer, slot) };
    this.#kept.set(hash, kept);
    return kept;
  }

  /** A name that nothing is kept under, once what no round goes on from any more, and what there is no room for, is gone. */
  async #freeSlot(specs: readonly ParameterSpec[], hash: string, round: number): Promise<string> {
    const sizeOf = (kept: Pick<Kept, 'specs'>): number => 3 * 4 * parameterCount(kept.specs);
    let bytes = [...this.#kept.values()].reduce((sum, kept) => sum + sizeOf(kept), sizeOf({ specs }));
    for (const [old, kept] of this.#kept) {
      if (old !== hash && kept.round >= round - 1 && bytes <= this.#most_bytes) continue;
      bytes -= sizeOf(kept);
      this.#kept.delete(old);
      await emptySlot(kept.specs, this.#drawer, kept.slot);
    }
    const taken = new Set([...this.#kept.values()].map(({ slot }) => slot));
    let free = 0;
    while (taken.has(slotOf(free))) free++;
    return slotOf(free);
  }
}

const slotOf = (number: number): string => `followed.${number}`;
