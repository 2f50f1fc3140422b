// Settlement: the free shares of owners who have named an address, as the Merkle root that a distributor contract takes.
//
// Both supported contracts check a claim (index, account, amount) with OpenZeppelin's MerkleProof: pairs are sorted, then hashed with Keccak-256.
// They differ in the leaf: MerkleDistributor hashes abi.encodePacked(index, account, amount) once, StandardMerkleTree abi.encode(…) twice.
import { keccak_256 } from '@noble/hashes/sha3.js';
import { bytesToHex, concatBytes, hexToBytes } from '@noble/hashes/utils.js';
import type { PayoutSettled, SettlementFormat } from '../events/payout-settled.ts';
import { type Refusal, refuse } from '../refusal.ts';
import type { NetworkState, RunState } from '../state.ts';
import { addressesOf } from './addresses.ts';
import { allBalances } from './balances.ts';

/** One leaf. `accounts` are the owners who named this address; their holdings are claimed together. */
export interface Balance {
  readonly index: number;
  /** 0x and 40 lower-case hexadecimal digits. */
  readonly address: string;
  readonly amount: bigint;
  readonly accounts: readonly string[];
}

export interface Settleable {
  readonly balances: readonly Balance[];
  /** A BigInt, so that sums over holders stay exact beyond 2^53. */
  readonly total: bigint;
  /** Free shares by holder, as far as they are part of `balances`. */
  readonly shares: ReadonlyMap<string, number>;
  /** Holders without an address. No address is ever guessed; what they hold stays theirs in the log. */
  readonly unsettled: readonly { readonly account: string; readonly shares: number }[];
}

/** What settling a run now would pay to whom: shares that are withheld, locked or settled are left out. */
export function settleable(state: NetworkState, run: RunState): Settleable {
  const free = new Map([...allBalances(run)].map(([account, balance]) => [account, balance.free]));
  return byAddress(free, addressesOf(state));
}

/** Groups free shares by address. Whole shares only; settled and unsettled together equal the input. */
export function byAddress(free: ReadonlyMap<string, number>, addresses: ReadonlyMap<string, string>): Settleable {
  const leaves = new Map<string, { amount: bigint; accounts: string[] }>();
  const shares = new Map<string, number>();
  const unsettled: { account: string; shares: number }[] = [];
  for (const [account, amount] of free) {
    if (amount === 0) continue;
    const address = addresses.get(account);
    if (address === undefined) {
      unsettled.push({ account, shares: amount });
      continue;
    }
    const leaf = leaves.get(address) ?? { amount: 0n, accounts: [] };
    leaves.set(address, { amount: leaf.amount + BigInt(amount), accounts: [...leaf.accounts, account] });
    shares.set(account, amount);
  }
  const balances = [...leaves]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([address, leaf], index) => ({ index, address, ...leaf }));
  return { balances, shares, unsettled, total: balances.reduce((sum, { amount }) => sum + amount, 0n) };
}

/** The leaf of one balance, 32 bytes. */
function balanceLeaf(format: SettlementFormat, { index, address, amount }: Balance): Uint8Array {
  const bytes = hexToBytes(address.slice(2));
  if (format === 'merkle-distributor') return keccak_256(concatBytes(word(index), bytes, word(amount)));
  const padded = new Uint8Array(32);
  padded.set(bytes, 12);
  return keccak_256(keccak_256(concatBytes(word(index), padded, word(amount))));
}

const word = (value: number | bigint): Uint8Array => hexToBytes(BigInt(value).toString(16).padStart(64, '0'));

/** OpenZeppelin's tree: a complete binary tree in one list, root first. The children of node i are 2i + 1 and 2i + 2. */
export interface SettlementTree {
  readonly nodes: readonly Uint8Array[];
  /** The index of each balance's leaf. */
  readonly places: readonly number[];
}

/** The tree over balances, as OpenZeppelin's merkle-tree library makes it. At least one balance. */
export function settlementTree(format: SettlementFormat, balances: readonly Balance[]): SettlementTree {
  const leaves = balances.map((balance, i) => ({ i, hash: balanceLeaf(format, balance) }));
  leaves.sort((a, b) => compareHashes(a.hash, b.hash));
  const nodes = new Array<Uint8Array>(2 * leaves.length - 1);
  const places = new Array<number>(leaves.length);
  // The sorted leaves come last, in reverse order.
  leaves.forEach(({ i, hash }, rank) => {
    places[i] = nodes.length - 1 - rank;
    nodes[places[i]] = hash;
  });
  for (let i = leaves.length - 2; i >= 0; i--) {
    const [left, right] = [nodes[2 * i + 1], nodes[2 * i + 2]];
    nodes[i] = keccak_256(compareHashes(left, right) < 0 ? concatBytes(left, right) : concatBytes(right, left));
  }
  return { nodes, places };
}

/** The proof of a leaf: what a contract hashes it with, one after the other, to arrive at the root. */
export function settlementProof({ nodes, places }: SettlementTree, balance: number): Uint8Array[] {
  const proof: Uint8Array[] = [];
  for (let at = places[balance]; at > 0; at = (at - 1) >> 1) proof.push(nodes[at % 2 === 1 ? at + 1 : at - 1]);
  return proof;
}

/** The root of the tree over balances, 0x and 64 digits. At least one balance. */
export const settlementRoot = (format: SettlementFormat, balances: readonly Balance[]): string =>
  `0x${bytesToHex(settlementTree(format, balances).nodes[0])}`;

function compareHashes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < 32; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return 0;
}

/**
 * What was computed for a run since its balances last changed. Twenty thousand holders take half a second of hashing, so a sender of many
 * wrong roots must not make a hub compute it every time.
 */
const computed = new WeakMap<RunState, { since: number; found: Settleable; roots: Map<SettlementFormat, string> }>();

function computedFor(state: NetworkState, run: RunState) {
  let kept = computed.get(run);
  if (kept?.since !== run.balances_since) {
    kept = { since: run.balances_since, found: settleable(state, run), roots: new Map() };
    computed.set(run, kept);
  }
  return kept;
}

/** Whether this settlement follows from the log at the size that it names, and still holds. */
export function refusalOfSettlement(
  state: NetworkState,
  run: RunState,
  author: string,
  body: PayoutSettled,
): Refusal | null {
  if (author !== run.owner) return refuse('not-the-owner', `only the owner ${run.owner} may do this, got ${author}`);
  if (body.settlement !== run.settlements) {
    return refuse('wrong-settlement', `expected settlement ${run.settlements} of this run, got ${body.settlement}`);
  }
  if (body.log_size < run.balances_since || body.log_size > state.events) {
    const range = `${run.balances_since} to ${state.events}`;
    return refuse('stale-settlement', `balances are those of a log of ${range} events, not of ${body.log_size}`);
  }
  const { found, roots } = computedFor(state, run);
  const { balances, total } = found;
  if (total === 0n) return refuse('wrong-settlement', 'nobody who has named an address holds free shares');
  if (BigInt(body.total) !== total) return refuse('wrong-settlement', `total: expected ${total}, got ${body.total}`);
  const root = roots.get(body.format) ?? settlementRoot(body.format, balances);
  roots.set(body.format, root);
  return body.root === root ? null : refuse('wrong-settlement', `root: expected ${root}, got ${body.root}`);
}

/** Moves what was paid out from free to settled; call it only after `refusalOfSettlement` returned null. */
export function applySettlement(state: NetworkState, run: RunState): void {
  for (const [account, shares] of computedFor(state, run).found.shares) {
    run.settled.set(account, (run.settled.get(account) ?? 0) + shares);
  }
  run.settlements++;
}
