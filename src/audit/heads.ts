// Compares heads that others saw with the log's own tree: heads of witnesses, of this machine's peers, and those that authors sign into their events.
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import type { SeenHead } from '../core/events/fields.ts';
import type { LoggedEvent } from '../core/events.ts';
import { assembleCheckpoint, openCheckpoint } from '../ledger/checkpoint.ts';
import { LedgerError } from '../ledger/errors.ts';
import { originOf } from '../ledger/key-names.ts';
import { equalHashes } from '../ledger/merkle.ts';
import { AuditFailure } from './public-log.ts';
import { seenHeadOf } from './seen-heads.ts';

/** A head that the hub signed, as somebody saw it. */
export interface KnownHead {
  readonly size: number;
  readonly root: Uint8Array;
  readonly note: string;
  /** Who saw it, in words: "a witness". */
  readonly from: string;
}

/** What was compared, and what was not. */
export interface HeadReport {
  /** Heads that witnesses and local peers have seen. */
  known: number;
  /** Events that name a head of this tree, their authors, and events whose tree is not kept any more. */
  named: number;
  authors: number;
  not_compared: number;
  /** Authors who name a head that the hub did not sign. */
  false_authors: readonly string[];
}

/** False claims are counted for so many authors, because anybody can make some. */
const FALSE_AUTHORS = 1000;

interface Named {
  readonly index: number;
  readonly author: string;
  readonly type: string;
  readonly seen: SeenHead;
}

export class HeadCheck {
  readonly #hub: string;
  readonly #known = new Map<number, KnownHead[]>();
  readonly #authors = new Set<string>();
  readonly #false = new Set<string>();
  #count = 0;
  #named = 0;
  #not_compared = 0;
  #waiting: Named[] = [];

  /** `known`: heads that carry the hub's signature. */
  constructor(hub: string, known: readonly KnownHead[] = []) {
    this.#hub = hub;
    for (const head of known) this.#known.set(head.size, [...(this.#known.get(head.size) ?? []), head]);
    this.#count = known.length;
  }

  get report(): HeadReport {
    return {
      known: this.#count,
      named: this.#named,
      authors: this.#authors.size,
      not_compared: this.#not_compared,
      false_authors: [...this.#false],
    };
  }

  /** Compares the known heads of this size with the log's root. Throws AuditFailure `diverged`. */
  at(size: number, root: () => Uint8Array): void {
    const heads = this.#known.get(size);
    if (!heads) return;
    const computed = root();
    for (const { root, note, from } of heads) if (!equalHashes(root, computed)) throw diverged(size, from, note);
  }

  /** Finds heads of a longer log than this one. Throws AuditFailure `omitted`. */
  beyond(size: number): void {
    const longer = [...this.#known.keys()].filter((other) => other > size).sort((a, b) => a - b)[0];
    if (longer === undefined) return;
    const { note, from } = this.#known.get(longer)![0];
    const message = `the hub has signed a log of ${longer} events for ${from}, and this one ends at ${size}: it was cut short`;
    throw new AuditFailure('omitted', message, { index: size, signed: note });
  }

  /** Records the head that an event names. */
  event({ author, body }: LoggedEvent, index: number): void {
    const seen = seenHeadOf(body);
    if (seen) this.#waiting.push({ index, author, type: body.type, seen });
  }

  /** Compares what was recorded; `rootOf` gives null where a tree is not kept any more. Throws AuditFailure `diverged`, and the errors of `rootOf`. */
  async settle(rootOf: (size: number) => Promise<Uint8Array | null>): Promise<void> {
    const waiting = this.#waiting;
    this.#waiting = [];
    let last: { readonly size: number; readonly root: string | null } = { size: -1, root: null };
    for (const { index, author, type, seen } of waiting) {
      const details = { index, type, author };
      // An author sees a head before its event is in the log, so no such head is longer than the log before the event.
      if (seen.size > index) {
        const note = this.#signedNote(seen, author);
        if (!note) continue;
        const message = `its author had been shown ${seen.size} signed events before, but it stands at ${index}: the log was cut short and goes on anew`;
        throw new AuditFailure('diverged', message, { ...details, signed: note });
      }
      if (last.size !== seen.size) {
        const root = await rootOf(seen.size);
        last = { size: seen.size, root: root && bytesToHex(root) };
      }
      if (last.root === null) {
        this.#not_compared++;
        continue;
      }
      if (last.root !== seen.root) {
        const note = this.#signedNote(seen, author);
        if (note) throw diverged(seen.size, `the author of event ${index}`, note, details);
        continue;
      }
      this.#named++;
      this.#authors.add(author);
    }
  }

  /** The note for the head that an event names, if the hub signed it; otherwise the author's claim is false, and only the author's. */
  #signedNote({ size, root, signature }: SeenHead, author: string): string | null {
    const log = { name: originOf(this.#hub), id: this.#hub };
    const note = assembleCheckpoint({ size, root: hexToBytes(root), signature: hexToBytes(signature) }, log);
    try {
      openCheckpoint(note, { id: log.id, origin: log.name });
      return note;
    } catch (error) {
      if (!(error instanceof LedgerError)) throw error;
      if (this.#false.size < FALSE_AUTHORS) this.#false.add(author);
      return null;
    }
  }
}

function diverged(size: number, from: string, note: string, details = {}): AuditFailure {
  const message = `the hub has signed another history of ${size} events for ${from}: it shows two logs, or has rewritten this one`;
  return new AuditFailure('diverged', message, { index: size - 1, ...details, signed: note });
}
