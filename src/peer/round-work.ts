// A round's work as one device is told of it by its hub, piece by piece: whoever works hears nothing of it, validators hear of the list and of their draw.
import { bytesToHex } from '@noble/hashes/utils.js';
import { ProtocolError } from '../protocol/errors.ts';
import { type JudgedView, WORK_LIMITS, type WorkPiece } from '../protocol/from-hub.ts';
import type { RunView } from '../protocol/messages.ts';

/** Whose work is in, and the hash of the work. */
export interface HandedIn {
  readonly worker: string;
  readonly work: string;
}

/** A run as a role sees it. */
export interface SeenRun extends RunView {
  /** Those that this device judges, has judged, or watches. */
  readonly submissions: JudgedView[];
  /** All work of the open round, in the order of the log; empty until the list is closed. */
  readonly handed_in: readonly HandedIn[];
}

export class RoundWork {
  #round = '';
  #handed_in: HandedIn[] = [];
  readonly #drawn = new Map<string, JudgedView>();

  /** Throws ProtocolError `malformed` for a piece that does not follow. */
  take({ round, attempt, from, listed, drawn }: WorkPiece): void {
    if (from === 0 || this.#round !== `${round} ${attempt}`) {
      this.#round = `${round} ${attempt}`;
      this.#handed_in = [];
      this.#drawn.clear();
    }
    if (from !== this.#handed_in.length || listed.length % WORK_LIMITS.entry_bytes !== 0) {
      throw new ProtocolError('malformed', `work: expected what follows ${this.#handed_in.length} works, got ${from}`);
    }
    for (let at = 0; at < listed.length; at += WORK_LIMITS.entry_bytes) {
      const entry = bytesToHex(listed.subarray(at, at + WORK_LIMITS.entry_bytes));
      this.#handed_in.push({ worker: entry.slice(0, 64), work: entry.slice(64) });
    }
    for (const one of drawn) this.#drawn.set(one.id, one);
    if (this.#handed_in.length > WORK_LIMITS.works || this.#drawn.size > WORK_LIMITS.works) {
      throw new ProtocolError('malformed', `work: a round has at most ${WORK_LIMITS.works} works, got more`);
    }
  }

  /** A view with what was told of its round. */
  seen(view: RunView): SeenRun {
    const known = this.#round === `${view.round} ${view.attempt}`;
    return {
      ...view,
      submissions: known ? [...this.#drawn.values()] : [],
      handed_in: known ? [...this.#handed_in] : [],
    };
  }
}
