// Settlement trees: every claim is accepted as the contracts check it, every other claim is not, and no share appears or vanishes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keccak_256 } from '@noble/hashes/sha3.js';
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import { StandardMerkleTree } from '@openzeppelin/merkle-tree';
import fc from 'fast-check';
import { OwnershipError } from '../audit/ownership-errors.ts';
import { type Balance, byAddress, settlementRoot } from '../core/shares/settlement.ts';
import { checksummedAddress, normaliseAddress } from './ownership.ts';
import { settlementFile } from './settle.ts';

interface Claims {
  readonly merkleRoot: string;
  readonly tokenTotal: string;
  readonly claims: Record<string, { readonly index: number; readonly amount: string; readonly proof: string[] }>;
}

const keccak = (hex: string): string => bytesToHex(keccak_256(hexToBytes(hex)));

/** What MerkleDistributor.claim computes in Solidity, written out once more: the leaf packed, then pairs in order of value. */
function contractAccepts(
  root: string,
  index: bigint,
  account: string,
  amount: bigint,
  proof: readonly string[],
): boolean {
  const word = (value: bigint): string => value.toString(16).padStart(64, '0');
  let node = keccak(word(index) + account.slice(2).toLowerCase() + word(amount));
  for (const sibling of proof.map((hash) => hash.slice(2))) {
    node = keccak(node < sibling ? node + sibling : sibling + node);
  }
  return `0x${node}` === root;
}

const bytesHex = (length: number): fc.Arbitrary<string> =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((bytes) => bytesToHex(bytes));
const holders = fc.uniqueArray(
  fc.record({
    account: bytesHex(32),
    shares: fc.oneof(fc.maxSafeNat(), fc.nat(1000)),
    tokens: fc.nat(),
    address: fc.option(
      fc.oneof(
        bytesHex(20).map((hex) => `0x${hex}`),
        fc.constant(`0x${'ab'.repeat(20)}`),
      ),
    ),
  }),
  { selector: ({ account }) => account, minLength: 1, maxLength: 40 },
);

function settled(table: readonly { account: string; shares: number; tokens: number; address: string | null }[]) {
  const addresses = new Map(table.flatMap(({ account, address }) => (address ? [[account, address] as const] : [])));
  return byAddress(new Map(table.map(({ account, shares }) => [account, shares])), addresses);
}

test('settled and unsettled together are the table, in whole shares, and each address stands once', () => {
  fc.assert(
    fc.property(holders, (table) => {
      const { balances, unsettled } = settled(table);
      const sum = (values: (number | bigint)[]) => values.reduce<bigint>((all, value) => all + BigInt(value), 0n);
      assert.equal(
        sum(balances.map(({ amount }) => amount)) + sum(unsettled.map(({ shares }) => shares)),
        sum(table.map(({ shares }) => shares)),
      );
      assert.equal(new Set(balances.map(({ address }) => address)).size, balances.length);
      assert.deepEqual(
        balances.map(({ index }) => index),
        balances.map((_, i) => i),
      );
      const named = new Set(table.filter(({ address }) => address).map(({ account }) => account));
      assert.ok(
        unsettled.every(({ account }) => !named.has(account)),
        'nobody is settled at a guessed address, or forgotten',
      );
    }),
  );
});

test('a MerkleDistributor accepts every claim of the file, and no other index, account, amount or proof', () => {
  fc.assert(
    fc.property(holders, (table) => {
      const { balances } = settled(table);
      if (balances.length === 0) return;
      const { merkleRoot, tokenTotal, claims } = settlementFile('merkle-distributor', balances) as Claims;
      assert.equal(merkleRoot, settlementRoot('merkle-distributor', balances), 'what the core recomputes');
      let total = 0n;
      for (const [account, { index, amount, proof }] of Object.entries(claims)) {
        const whole = BigInt(amount);
        total += whole;
        assert.ok(contractAccepts(merkleRoot, BigInt(index), account, whole, proof));
        assert.equal(contractAccepts(merkleRoot, BigInt(index) + 1n, account, whole, proof), false);
        assert.equal(contractAccepts(merkleRoot, BigInt(index), account, whole + 1n, proof), false);
        assert.equal(contractAccepts(merkleRoot, BigInt(index), `0x${'12'.repeat(20)}`, whole, proof), false);
        assert.equal(contractAccepts(merkleRoot, BigInt(index), account, whole, [...proof, merkleRoot]), false);
        if (proof.length > 0)
          assert.equal(contractAccepts(merkleRoot, BigInt(index), account, whole, proof.slice(1)), false);
      }
      assert.equal(BigInt(tokenTotal), total);
    }),
    { numRuns: 30 },
  );
});

test('the file of a standard tree is the one that OpenZeppelin’s library writes, whose root the core recomputes', () => {
  fc.assert(
    fc.property(holders, (table) => {
      const { balances } = settled(table);
      if (balances.length === 0) return;
      const values = balances.map(({ index, address, amount }) => [
        String(index),
        checksummedAddress(address),
        String(amount),
      ]);
      const theirs = StandardMerkleTree.of(values, ['uint256', 'address', 'uint256']);
      const file = settlementFile('standard-merkle-tree', balances);
      assert.deepEqual(file, { root: theirs.root, tree: theirs.dump() });
      assert.equal(settlementRoot('standard-merkle-tree', balances), theirs.root);
    }),
    { numRuns: 30 },
  );
});

test('the standard tree loads in OpenZeppelin’s library, whose verifier takes the claims and no wrong ones', () => {
  const balance = (index: number, amount: bigint): Balance => ({
    index,
    address: `0x${String(index).repeat(40)}`,
    amount,
    accounts: [],
  });
  const balances = [balance(1, 10n), balance(2, 20n), balance(3, 30n)];
  const { root, tree } = settlementFile('standard-merkle-tree', balances) as {
    root: string;
    tree: Parameters<typeof StandardMerkleTree.load<string[]>>[0];
  };
  const loaded = StandardMerkleTree.load(JSON.parse(JSON.stringify(tree)));
  loaded.validate();
  assert.equal(settlementRoot('standard-merkle-tree', balances), root, 'what the core recomputes');
  assert.equal(loaded.root, root);
  const types = ['uint256', 'address', 'uint256'];
  for (const [i, value] of loaded.entries()) {
    const proof = loaded.getProof(i);
    assert.ok(StandardMerkleTree.verify(root, types, value, proof));
    assert.equal(StandardMerkleTree.verify(root, types, [value[0], value[1], '31'], proof), false);
  }
});

test('without an address nothing is settled', () => {
  const { balances, unsettled } = byAddress(new Map([['a', 5]]), new Map());
  assert.deepEqual(unsettled, [{ account: 'a', shares: 5 }]);
  assert.throws(
    () => settlementFile('merkle-distributor', balances),
    (error) => error instanceof OwnershipError && error.code === 'nothing-to-settle',
  );
});

test('addresses: the examples of EIP-55 pass, a changed capital does not', () => {
  for (const address of [
    '0x52908400098527886E0F7030069857D2E4169EE7',
    '0xde709f2102306220921060314715629080e2fb77',
    '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed',
    '0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359',
  ]) {
    assert.equal(checksummedAddress(normaliseAddress(address)), address);
  }
  for (const wrong of [
    '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1Beaed',
    '5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed',
    '0x12',
    '',
  ]) {
    assert.throws(
      () => normaliseAddress(wrong),
      (error) => error instanceof OwnershipError && error.code === 'bad-address',
    );
  }
});
