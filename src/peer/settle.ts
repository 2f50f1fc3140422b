// Balances as a Merkle tree that contracts on an EVM chain take: Uniswap's MerkleDistributor, or OpenZeppelin's StandardMerkleTree.
//
// Both contracts check a claim (index, account, amount) with OpenZeppelin's MerkleProof: pairs are sorted, then hashed with Keccak-256. They
// differ in the leaf: MerkleDistributor hashes abi.encodePacked(index, account, amount) once, StandardMerkleTree abi.encode(…) twice.
import { keccak_256 } from '@noble/hashes/sha3.js';
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import { SimpleMerkleTree, StandardMerkleTree } from '@openzeppelin/merkle-tree';
import type { ShareRow } from '../core/share-table.ts';
import { checksummedAddress } from './ownership.ts';
import { OwnershipError } from './ownership-errors.ts';

export type SettlementFormat = 'merkle-distributor' | 'standard-merkle-tree';

/** One leaf. `accounts` are the owners who named this address: what they hold is claimed together. */
export interface Balance {
  readonly index: number;
  /** With the checksum of EIP-55. */
  readonly address: string;
  readonly amount: number;
  readonly accounts: readonly string[];
}

export interface Balances {
  readonly balances: readonly Balance[];
  /** Holders who have named no address: nothing is ever guessed, and what they hold stays theirs in the log. */
  readonly unsettled: readonly { readonly account: string; readonly shares: number }[];
}

/** Who is settled where. Whole shares only; settled and unsettled together are the table. */
export function balancesOf(table: readonly ShareRow[], addresses: ReadonlyMap<string, string>): Balances {
  const byAddress = new Map<string, { amount: number; accounts: string[] }>();
  const unsettled: { account: string; shares: number }[] = [];
  for (const { account, shares } of table) {
    if (shares === 0) continue;
    const address = addresses.get(account);
    if (address === undefined) {
      unsettled.push({ account, shares });
      continue;
    }
    const entry = byAddress.get(address) ?? { amount: 0, accounts: [] };
    byAddress.set(address, { amount: entry.amount + shares, accounts: [...entry.accounts, account] });
  }
  const balances = [...byAddress]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([address, entry], index) => ({ index, address: checksummedAddress(address), ...entry }));
  return { balances, unsettled };
}

/** The leaf of Uniswap's contract: Keccak-256 of index (32 bytes), address (20) and amount (32), packed. */
export function distributorLeaf({ index, address, amount }: Pick<Balance, 'index' | 'address' | 'amount'>): string {
  const packed = `${word(index)}${address.slice(2).toLowerCase()}${word(amount)}`;
  return `0x${bytesToHex(keccak_256(hexToBytes(packed)))}`;
}

const hex = (value: number): string => `0x${BigInt(value).toString(16)}`;
const word = (value: number): string => BigInt(value).toString(16).padStart(64, '0');

/** The file of a settlement, in the words of the tools that read it. Throws OwnershipError `nothing-to-settle`. */
export function settlementOf(format: SettlementFormat, balances: readonly Balance[]): object {
  if (balances.length === 0) {
    throw new OwnershipError(
      'nothing-to-settle',
      'nobody who holds shares has named an address yet: potluck id address 0x… --hub URL',
    );
  }
  if (format === 'standard-merkle-tree') {
    const values = balances.map(({ index, address, amount }) => [String(index), address, String(amount)]);
    const tree = StandardMerkleTree.of(values, ['uint256', 'address', 'uint256']);
    return { root: tree.root, tree: tree.dump() };
  }
  const tree = SimpleMerkleTree.of(balances.map(distributorLeaf));
  const claims = balances.map((balance, i) => [
    balance.address,
    { index: balance.index, amount: hex(balance.amount), proof: tree.getProof(i), accounts: balance.accounts },
  ]);
  return {
    merkleRoot: tree.root,
    tokenTotal: hex(balances.reduce((sum, { amount }) => sum + amount, 0)),
    claims: Object.fromEntries(claims),
  };
}
