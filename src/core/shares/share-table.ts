// Who holds what of a run, as one Merkle root (RFC 6962) that the hub states in the log: it makes a holder's part provable without the log.
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import {
  CompactTree,
  equalHashes,
  inclusionProof,
  leafHash,
  nodesOfLeaves,
  verifyInclusion,
} from '../../ledger/merkle.ts';
import { encodeStrict } from '../../protocol/strict-cbor-encode.ts';
import type { SharesStated } from '../events/shares-stated.ts';
import { type Refusal, refuse } from '../refusal.ts';
import type { RunState } from '../state.ts';

/** One holder's line. `tokens` are those of its verified and merged work. */
export interface ShareRow {
  readonly account: string;
  readonly shares: number;
  readonly tokens: number;
}

/** Everybody who earned shares or trained verified tokens, in order of account. It changes only when a round is merged. */
export function shareTable(run: RunState): ShareRow[] {
  return [...new Set([...run.shares.keys(), ...run.tokens.keys()])]
    .sort()
    .map((account) => ({ account, shares: run.shares.get(account) ?? 0, tokens: run.tokens.get(account) ?? 0 }));
}

/** What the hub must state about the run's present table, and nothing else. */
export function statementOf(run: RunState): SharesStated {
  const table = shareTable(run);
  const tree = new CompactTree();
  for (const row of table) tree.append(rowHash(row));
  return {
    type: 'shares.stated',
    version: 1,
    run: run.id,
    merged_rounds: run.round,
    model: run.model,
    accounts: table.length,
    root: bytesToHex(tree.root()),
    shares: table.reduce((sum, { shares }) => sum + shares, 0),
    unearned_shares: run.unearned_shares,
    tokens: table.reduce((sum, { tokens }) => sum + tokens, 0),
  };
}

/**
 * Whether the hub must state the table before the next round opens: a model is kept whole whose holders are not stated yet.
 * So is the last model of a run that ended between two such: what its last rounds paid is to be provable as well.
 */
export function mayStateShares(run: RunState): boolean {
  const due = run.checkpoint.merged_rounds === run.round || run.phase === 'finished';
  return due && run.stated_rounds < run.round;
}

/** Whether a statement by the hub is the true one, and due. */
export function refusalOfStatement(run: RunState, body: SharesStated): Refusal | null {
  if (!mayStateShares(run)) {
    return refuse(
      'wrong-statement',
      `shares are stated once for each model kept whole and at the end, none is due at ${run.round}`,
    );
  }
  const expected = statementOf(run);
  for (const field of ['merged_rounds', 'model', 'accounts', 'root', 'shares', 'unearned_shares', 'tokens'] as const) {
    if (body[field] !== expected[field]) {
      return refuse('wrong-statement', `${field}: expected ${expected[field]}, got ${body[field]}`);
    }
  }
  return null;
}

/** The hashes from row `index` up to the root of its table. */
export function rowProof(table: readonly ShareRow[], index: number): Uint8Array[] {
  return inclusionProof(index, table.length, nodesOfLeaves(table.map(rowHash)));
}

/** Whether a proof shows that a row stands at `index` of the table that was stated. */
export function verifyRow(
  stated: Pick<SharesStated, 'accounts' | 'root'>,
  row: ShareRow,
  index: number,
  proof: readonly Uint8Array[],
): boolean {
  return verifyInclusion(rowHash(row), index, stated.accounts, proof, hexToBytes(stated.root));
}

/** Whether a whole table is the one that was stated. */
export function verifyTable(stated: Pick<SharesStated, 'accounts' | 'root'>, table: readonly ShareRow[]): boolean {
  const tree = new CompactTree();
  for (const row of table) tree.append(rowHash(row));
  return table.length === stated.accounts && equalHashes(tree.root(), hexToBytes(stated.root));
}

/** The leaf of a row: deterministic DAG-CBOR [account, shares, tokens]. */
function rowHash({ account, shares, tokens }: ShareRow): Uint8Array {
  return leafHash(encodeStrict([account, shares, tokens]));
}
