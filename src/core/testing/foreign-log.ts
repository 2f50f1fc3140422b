// A small log of another hub, for tests of what a log takes in from another one: signed events, a signed head, and the proof of any of them.
import { signCheckpoint, takeApart } from '../../ledger/checkpoint.ts';
import { originOf } from '../../ledger/key-names.ts';
import { consistencyProof, inclusionProof, leafHash, nodesOfLeaves, rootAt } from '../../ledger/merkle.ts';
import type { Identity } from '../../protocol/identity.ts';
import { type ForeignEvent, foreignEvent } from '../moving/foreign-event.ts';

export interface ForeignLog {
  /** The signed bytes of each entry. */
  readonly entries: Uint8Array[];
  /** An entry with its proof up to the log's present head. */
  prove(index: number): Promise<ForeignEvent>;
  /** The way from an older head of the log to the present one. */
  consistency(from: number): Uint8Array[];
}

export function foreignLog(hub: Identity): ForeignLog {
  const entries: Uint8Array[] = [];
  const nodes = () => nodesOfLeaves(entries.map(leafHash));
  return {
    entries,
    async prove(index) {
      const name = originOf(hub.id);
      const [size, node] = [entries.length, nodes()];
      const note = await signCheckpoint(hub, { origin: name, size, root: rootAt(size, node) });
      const placed = { index, event: entries[index], inclusion_proof: inclusionProof(index, size, node) };
      return foreignEvent(hub.id, takeApart(note, { id: hub.id, name }), placed);
    },
    consistency: (from) => consistencyProof(from, entries.length, nodes()),
  };
}
