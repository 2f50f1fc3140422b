// The list of the work that a merge takes, as its length and one Merkle root (RFC 6962) over the events' ids in order: however many there are,
// the merge stays a short event, and of any work it can be shown without the log whether it is in the list.
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import { z } from 'zod';
import {
  CompactTree,
  inclusionProof,
  leafHash,
  MAX_PROOF_HASHES,
  nodesOfLeaves,
  verifyInclusion,
} from '../../ledger/merkle.ts';
import { fromBase64, toBase64 } from '../../ledger/signed-note.ts';
import { count, hash } from '../../protocol/schemas.ts';

/** A list as a merge names it. */
export interface MergedList {
  readonly accepted_count: number;
  /** Of no entries: the hash of nothing. */
  readonly accepted_root: string;
}

/** In base64; a SHA-256 has 44 characters. */
export const ProofSchema = z.array(z.string().length(44)).max(MAX_PROOF_HASHES);

const EntrySchema = z.strictObject({ id: hash, inclusion_proof: ProofSchema });

/** Whether a work is in a list: its own entry, or the entries between which it would be, with their proofs. */
export const MembershipSchema = z.strictObject({
  /** The place of the work in the list, or that which it would have. */
  index: count,
  entries: z.array(EntrySchema).max(2),
});
export type Membership = z.infer<typeof MembershipSchema>;

const leaf = (id: string): Uint8Array => leafHash(hexToBytes(id));

/** What a merge says of a list of event ids in rising order. */
export function mergedList(ids: readonly string[]): MergedList {
  const tree = new CompactTree();
  for (const id of ids) tree.append(leaf(id));
  return { accepted_count: ids.length, accepted_root: bytesToHex(tree.root()) };
}

/** Shows of any id whether it is in a list of event ids in rising order. */
export function membershipsIn(ids: readonly string[]): (id: string) => Membership {
  const node = nodesOfLeaves(ids.map(leaf));
  return (id) => {
    const after = ids.findIndex((other) => other >= id);
    const index = after < 0 ? ids.length : after;
    const shown = ids[index] === id ? [index] : [index - 1, index].filter((i) => i >= 0 && i < ids.length);
    return {
      index,
      entries: shown.map((i) => ({ id: ids[i], inclusion_proof: inclusionProof(i, ids.length, node).map(toBase64) })),
    };
  };
}

/** Whether a work is in the list of a merge, as a proof shows it; null where the proof shows nothing. */
export function isMerged(list: MergedList, id: string, { index, entries }: Membership): boolean | null {
  const stands = (entry: Membership['entries'][number], at: number): boolean => {
    const proof = entry.inclusion_proof.map(fromBase64);
    if (!proof.every((hash) => hash !== null)) return false;
    return verifyInclusion(leaf(entry.id), at, list.accepted_count, proof, hexToBytes(list.accepted_root));
  };
  if (entries.length === 1 && entries[0].id === id) return stands(entries[0], index) ? true : null;
  // Between neighbours in a list in rising order there is no other entry.
  const before = index > 0 ? entries[0] : null;
  const after = index < list.accepted_count ? entries[before ? 1 : 0] : null;
  const both = [before, after].filter((entry) => entry !== null);
  if (index > list.accepted_count || both.length !== entries.length) return null;
  if (before && !(before.id < id && stands(before, index - 1))) return null;
  if (after && !(after.id > id && stands(after, index))) return null;
  return false;
}
