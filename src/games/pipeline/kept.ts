// What a worker received and handed on in a round, as it was signed, kept to be shown to judges.
import type { KeptPieces } from '../pretrain/carried.ts';
import type { HandedOn, Wanted } from './messages.ts';
import type { MicroBatch } from './work.ts';

/** What was handed on. */
export interface Shown {
  readonly hash: string;
  readonly signature: Uint8Array;
  /** Missing: not asked for, or not kept. */
  readonly payload?: Uint8Array | undefined;
}

/** Between which devices. */
export interface Transfer {
  readonly kind: HandedOn['kind'];
  readonly by: string;
  readonly to: string;
  readonly of: MicroBatch;
}

interface Held extends Shown {
  readonly to: string;
}

/** Of a round. Who hands things on keeps them for its neighbour's sake, and only while there is room; what came in is the worker's own proof. */
export const KEPT_BYTES = { all: 1 << 30, sent: 256 << 20 } as const;

export class Kept {
  readonly began: KeptPieces;
  readonly #held = new Map<string, Held[]>();
  readonly #most: { readonly all: number; readonly sent: number };
  #bytes = 0;
  #sent_bytes = 0;
  #count = 0;

  /** @param began the state that the worker began with */
  constructor(began: KeptPieces, most: { readonly all: number; readonly sent: number } = KEPT_BYTES) {
    this.began = began;
    this.#most = most;
  }

  /** How much there is to show. */
  get count(): number {
    return this.#count;
  }

  /** A worker that could not show what more comes in takes no more. */
  get full(): boolean {
    return this.#bytes >= this.#most.all;
  }

  received(transfer: Transfer, shown: Required<Shown>): void {
    this.#bytes += shown.payload.length;
    this.#add(transfer, shown);
  }

  /** The same payload, handed to several, takes its room once. */
  sent(transfer: Transfer, { payload, ...shown }: Required<Shown>): void {
    const held = this.#held.get(keyOf(transfer)) ?? [];
    const known = held.some((other) => other.payload === payload);
    if (known || this.#sent_bytes + payload.length <= this.#most.sent) {
      if (!known) this.#sent_bytes += payload.length;
      this.#add(transfer, { ...shown, payload });
    } else this.#add(transfer, shown);
  }

  /** What fits; what has its payload, where there is such. */
  find({ origin, number, ...wanted }: Wanted): Shown | undefined {
    const fits = (this.#held.get(keyOf({ ...wanted, of: { origin, number } })) ?? []).filter(
      ({ to, hash }) => (wanted.to ?? to) === to && (wanted.hash ?? hash) === hash,
    );
    return fits.find(({ payload }) => payload) ?? fits[0];
  }

  #add(transfer: Transfer, { hash, signature, payload }: Shown): void {
    const held = this.#held.get(keyOf(transfer)) ?? [];
    held.push({ to: transfer.to, hash, signature, payload });
    this.#held.set(keyOf(transfer), held);
    this.#count++;
  }
}

const keyOf = ({ kind, by, of }: Pick<Transfer, 'kind' | 'by' | 'of'>): string =>
  `${kind} ${by} ${of.origin} ${of.number}`;
