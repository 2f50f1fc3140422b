// The Merkle tree: published answers, the definition of RFC 6962 written down directly as an oracle, and proofs that are tampered with.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import fc from 'fast-check';
import { sha256 } from '../protocol/hash.ts';
import {
  CompactTree,
  consistencyProof,
  EMPTY_ROOT,
  inclusionProof,
  leafHash,
  nodeHash,
  rootAt,
  verifyConsistency,
  verifyInclusion,
} from './merkle.ts';

/** The entries and roots of Certificate Transparency's reference tests. */
const CT_ENTRIES = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
].map(hexToBytes);
const CT_ROOTS = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

// RFC 6962, section 2.1, as it is written there: the oracle. Slow, and without a thought for anything.
const below = (n: number): number => 2 ** Math.ceil(Math.log2(n) - 1);
function mth(entries: readonly Uint8Array[]): Uint8Array {
  if (entries.length === 0) return sha256(new Uint8Array(0));
  if (entries.length === 1) return sha256(Uint8Array.of(0), entries[0]);
  const k = below(entries.length);
  return sha256(Uint8Array.of(1), mth(entries.slice(0, k)), mth(entries.slice(k)));
}
function path(m: number, d: readonly Uint8Array[]): Uint8Array[] {
  if (d.length === 1) return [];
  const k = below(d.length);
  return m < k ? [...path(m, d.slice(0, k)), mth(d.slice(k))] : [...path(m - k, d.slice(k)), mth(d.slice(0, k))];
}
function subproof(m: number, d: readonly Uint8Array[], whole: boolean): Uint8Array[] {
  if (m === d.length) return whole ? [] : [mth(d)];
  const k = below(d.length);
  return m <= k
    ? [...subproof(m, d.slice(0, k), whole), mth(d.slice(k))]
    : [...subproof(m - k, d.slice(k), false), mth(d.slice(0, k))];
}

const entriesOf = (size: number) => Array.from({ length: size }, (_, i) => new TextEncoder().encode(`entry ${i}`));
const nodesOf = (entries: readonly Uint8Array[]) => (height: number, index: number) => {
  const count = 2 ** height;
  assert.ok((index + 1) * count <= entries.length, 'asked for a subtree that is not complete');
  return mth(entries.slice(index * count, (index + 1) * count));
};

test('roots of the Certificate Transparency reference tree', () => {
  const tree = new CompactTree();
  assert.equal(bytesToHex(tree.root()), CT_ROOTS[0]);
  CT_ENTRIES.forEach((entry, i) => {
    tree.append(leafHash(entry));
    assert.equal(bytesToHex(tree.root()), CT_ROOTS[i + 1]);
    assert.equal(tree.size, i + 1);
  });
  assert.equal(bytesToHex(EMPTY_ROOT), CT_ROOTS[0]);
});

test('proofs of the Certificate Transparency reference tree', () => {
  const hex = (hashes: Uint8Array[]) => hashes.map(bytesToHex);
  const node = nodesOf(CT_ENTRIES);
  assert.deepEqual(hex(consistencyProof(6, 8, node)), [
    '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
    'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
    'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  ]);
  assert.deepEqual(hex(consistencyProof(2, 5, node)), [
    '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
    'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
  ]);
  assert.deepEqual(hex(inclusionProof(2, 3, node)), [CT_ROOTS[2]]);
});

test('up to size 40: roots and all proofs are those of the definition, and verify', () => {
  const entries = entriesOf(40);
  const tree = new CompactTree();
  for (let size = 0; size <= entries.length; size++) {
    const d = entries.slice(0, size);
    const node = nodesOf(d);
    const root = mth(d);
    assert.deepEqual(tree.root(), root);
    assert.deepEqual(rootAt(size, node), root);
    for (let index = 0; index < size; index++) {
      const proof = inclusionProof(index, size, node);
      assert.deepEqual(proof, path(index, d));
      assert.ok(verifyInclusion(leafHash(entries[index]), index, size, proof, root));
    }
    for (let from = 1; from <= size; from++) {
      const proof = consistencyProof(from, size, node);
      assert.deepEqual(proof, subproof(from, d, true));
      assert.ok(verifyConsistency(from, size, proof, mth(entries.slice(0, from)), root), `${from} -> ${size}`);
    }
    assert.ok(verifyConsistency(0, size, consistencyProof(0, size, node), EMPTY_ROOT, root));
    if (size < entries.length) tree.append(leafHash(entries[size]));
  }
});

/** Every way to spoil a list of hashes by one step. */
function spoiled(proof: readonly Uint8Array[], at: number, bit: number): Uint8Array[][] {
  const lists = [
    [...proof, sha256(Uint8Array.of(bit & 255))],
    [sha256(Uint8Array.of(bit & 255)), ...proof],
  ];
  if (proof.length > 0) {
    const i = at % proof.length;
    const flipped = proof.map((hash) => hash.slice());
    flipped[i][(bit >> 3) % 32] ^= 1 << (bit & 7);
    lists.push(flipped, proof.toSpliced(i, 1), [...proof.slice(0, i), proof[i].slice(1), ...proof.slice(i + 1)]);
    if (proof.length > 1) lists.push([...proof].reverse());
  }
  return lists;
}

test('no inclusion proof survives a change of it, of the leaf, of the root, or of the index', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 70 }), fc.nat(), fc.nat(), fc.nat(255), (size, pick, at, bit) => {
      const entries = entriesOf(size);
      const node = nodesOf(entries);
      const index = pick % size;
      const leaf = leafHash(entries[index]);
      const root = mth(entries);
      const proof = inclusionProof(index, size, node);
      assert.ok(verifyInclusion(leaf, index, size, proof, root));
      for (const bad of spoiled(proof, at, bit)) assert.ok(!verifyInclusion(leaf, index, size, bad, root));
      for (let other = 0; other < size; other++) {
        if (other === index) continue;
        assert.ok(!verifyInclusion(leaf, other, size, proof, root));
        assert.ok(!verifyInclusion(leafHash(entries[other]), index, size, proof, root));
      }
      assert.ok(!verifyInclusion(leafHash(Uint8Array.of(bit)), index, size, proof, root));
      assert.ok(!verifyInclusion(leaf, index, size, proof, sha256(root)));
      for (const [i, n] of [
        [-1, size],
        [size, size],
        [0.5, size],
        [index, 0],
        [index, NaN],
        [index, 2 ** 53],
      ]) {
        assert.ok(!verifyInclusion(leaf, i, n, proof, root));
      }
    }),
    { numRuns: 60 },
  );
});

test('no consistency proof survives a change of it, of a root, or of a size', () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 70 }), fc.nat(), fc.nat(), fc.nat(255), (to, pick, at, bit) => {
      const entries = entriesOf(to);
      const from = 1 + (pick % (to - 1));
      const [fromRoot, toRoot] = [mth(entries.slice(0, from)), mth(entries)];
      const proof = consistencyProof(from, to, nodesOf(entries));
      assert.ok(verifyConsistency(from, to, proof, fromRoot, toRoot));
      for (const bad of spoiled(proof, at, bit)) assert.ok(!verifyConsistency(from, to, bad, fromRoot, toRoot));
      assert.ok(!verifyConsistency(from, to, proof, toRoot, fromRoot));
      assert.ok(!verifyConsistency(from, to, proof, sha256(fromRoot), toRoot));
      assert.ok(!verifyConsistency(from, to, proof, fromRoot, sha256(toRoot)));
      // A history that differs in one old entry.
      const rewritten = [...entries];
      rewritten[pick % from] = Uint8Array.of(255);
      assert.ok(!verifyConsistency(from, to, consistencyProof(from, to, nodesOf(rewritten)), fromRoot, mth(rewritten)));
      for (const [a, b] of [
        [to, from],
        [-1, to],
        [0, to],
        [from, 2 ** 53],
      ] as const) {
        assert.ok(!verifyConsistency(a, b, proof, fromRoot, toRoot));
      }
    }),
    { numRuns: 60 },
  );
});

test('equal sizes need equal roots and no proof; an empty tree is a prefix of any', () => {
  const root = mth(entriesOf(5));
  assert.ok(verifyConsistency(5, 5, [], root, root));
  assert.ok(!verifyConsistency(5, 5, [], root, sha256(root)));
  assert.ok(!verifyConsistency(5, 5, [root], root, root));
  assert.ok(verifyConsistency(0, 5, [], EMPTY_ROOT, root));
  assert.ok(!verifyConsistency(0, 5, [], root, root));
  assert.ok(!verifyConsistency(0, 5, [root], EMPTY_ROOT, root));
  assert.ok(verifyConsistency(0, 0, [], EMPTY_ROOT, EMPTY_ROOT));
  assert.ok(!verifyConsistency(0, 0, [], EMPTY_ROOT, root));
});

test('a leaf is never taken for a node, nor a node for a leaf', () => {
  const [a, b] = [leafHash(Uint8Array.of(1)), leafHash(Uint8Array.of(2))];
  assert.notDeepEqual(leafHash(Uint8Array.from([...a, ...b])), nodeHash(a, b));
});

test('a hash follows from what is hashed, whatever was hashed before', () => {
  const of = (prefix: number, ...parts: Uint8Array[]): Uint8Array => sha256(Uint8Array.of(prefix), ...parts);
  for (const length of [65_536, 65_535, 0, 300, 1]) {
    const entry = new Uint8Array(length).fill(length);
    assert.deepEqual(leafHash(entry), of(0, entry), `an entry of ${length} bytes`);
  }
  const [a, b] = [leafHash(Uint8Array.of(1)), leafHash(Uint8Array.of(2))];
  const zeros = (count: number): Uint8Array => new Uint8Array(count);
  assert.deepEqual(nodeHash(a, b), of(1, a, b));
  assert.deepEqual(nodeHash(a.subarray(0, 5), b), of(1, a.subarray(0, 5), zeros(27), b));
  assert.deepEqual(nodeHash(a, b.subarray(0, 5)), of(1, a, b.subarray(0, 5), zeros(27)));
});

test('sizes beyond 2^32: proofs of a tree in which every entry is the same', () => {
  // One hash a height is the whole tree, so a tree of 2^40 and more entries costs nothing.
  const heights = [leafHash(Uint8Array.of(1))];
  const node = (height: number) => {
    while (heights.length <= height) heights.push(nodeHash(heights.at(-1)!, heights.at(-1)!));
    return heights[height];
  };
  for (const size of [2 ** 32, 2 ** 32 + 1, 2 ** 40 + 12345, 2 ** 52 + 2 ** 31 + 7]) {
    const root = rootAt(size, node);
    for (const index of [0, 1, 2 ** 31, 2 ** 32 - 1, size - 1]) {
      const proof = inclusionProof(index, size, node);
      assert.ok(verifyInclusion(heights[0], index, size, proof, root), `${index} of ${size}`);
      const from = Math.max(1, index);
      assert.ok(
        verifyConsistency(from, size, consistencyProof(from, size, node), rootAt(from, node), root),
        `${from} -> ${size}`,
      );
    }
  }
});
