// The share table: who holds what of a run, as one Merkle root (RFC 6962) that the hub states in the log, so that a holding can be proven without the log.
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

/** One holder's row. `amount` is that of its verified and merged work. */
export interface ShareRow {
  readonly account: string;
  readonly shares: number;
  readonly amount: number;
}

/** Everybody who earned shares or did verified work, in order of account. It changes only with a merge. */
export function shareTable(run: RunState): ShareRow[] {
  return [...new Set([...run.shares.keys(), ...run.amounts.keys()])]
    .sort()
    .map((account) => ({ account, shares: run.shares.get(account) ?? 0, amount: run.amounts.get(account) ?? 0 }));
}

/** The only statement about the run's current table that the core accepts. */
export function statementOf(run: RunState): SharesStated {
  const table = shareTable(run);
  const tree = new CompactTree();
  for (const row of table) tree.append(rowHash(row));
  return {
    type: 'shares.stated',
    version: 2,
    run: run.id,
    merged_rounds: run.round,
    model: run.model,
    accounts: table.length,
    root: bytesToHex(tree.root()),
    shares: table.reduce((sum, { shares }) => sum + shares, 0),
    unearned_shares: run.unearned_shares,
    amount: table.reduce((sum, { amount }) => sum + amount, 0),
  };
}

/**
 * Whether the hub must state the table before the next round opens: a model is stored whole and its holders are not stated yet. The same
 * holds for the last model of a run that ended between two such models, so that the pay of its last rounds can be proven too.
 */
export function mayStateShares(run: RunState): boolean {
  const due = run.checkpoint.merged_rounds === run.round || run.phase === 'finished';
  return due && run.stated_rounds < run.round;
}

/** Whether a statement by the hub is due and true. */
export function refusalOfStatement(run: RunState, body: SharesStated): Refusal | null {
  if (!mayStateShares(run)) {
    return refuse(
      'wrong-statement',
      `shares are stated once for each model stored whole and at the end; no statement is due at round ${run.round}`,
    );
  }
  const expected = statementOf(run);
  for (const field of ['merged_rounds', 'model', 'accounts', 'root', 'shares', 'unearned_shares', 'amount'] as const) {
    if (body[field] !== expected[field]) {
      return refuse('wrong-statement', `${field}: expected ${expected[field]}, got ${body[field]}`);
    }
  }
  return null;
}

/** The inclusion proof of row `index`. */
export function rowProof(table: readonly ShareRow[], index: number): Uint8Array[] {
  return inclusionProof(index, table.length, nodesOfLeaves(table.map(rowHash)));
}

/** Whether a proof shows that a row has this index in the stated table. */
export function verifyRow(
  stated: Pick<SharesStated, 'accounts' | 'root'>,
  row: ShareRow,
  index: number,
  proof: readonly Uint8Array[],
): boolean {
  return verifyInclusion(rowHash(row), index, stated.accounts, proof, hexToBytes(stated.root));
}

/** Whether a whole table is the stated one. */
export function verifyTable(stated: Pick<SharesStated, 'accounts' | 'root'>, table: readonly ShareRow[]): boolean {
  const tree = new CompactTree();
  for (const row of table) tree.append(rowHash(row));
  return table.length === stated.accounts && equalHashes(tree.root(), hexToBytes(stated.root));
}

/** The leaf of a row: deterministic DAG-CBOR [account, shares, amount]. */
function rowHash({ account, shares, amount }: ShareRow): Uint8Array {
  return leafHash(encodeStrict([account, shares, amount]));
}
