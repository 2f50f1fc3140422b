// C2SP tlog-tiles: the paths and sizes that the specification names, and bundles that are not what they should be.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concatBytes } from '@noble/hashes/utils.js';
import fc from 'fast-check';
import { LedgerError } from './errors.ts';
import { CompactTree, inclusionProof, leafHash, rootAt, verifyInclusion } from './merkle.ts';
import { throwsWith } from './testing/log-store-compliance.ts';
import {
  decodeEntryBundle,
  encodeEntryBundle,
  entriesPath,
  nodesFromTiles,
  parseTilePath,
  TILE_WIDTH,
  TileNodes,
  tilePath,
  tilesOfTree,
} from './tiles.ts';

test("the specification's examples of paths", () => {
  assert.equal(tilePath(0, 1234067), 'tile/0/x001/x234/067');
  assert.equal(tilePath(2, 0, 1), 'tile/2/000.p/1');
  assert.equal(entriesPath(1234067, 8), 'tile/entries/x001/x234/067.p/8');
  assert.equal(tilePath(1, 999), 'tile/1/999');
  assert.equal(tilePath(1, 1000), 'tile/1/x001/000');
});

test('a tree of 70,000: 273 full tiles and 112, one full and 17, and 1', () => {
  assert.deepEqual(tilesOfTree(70_000), [
    { level: 0, full: 273, partial_width: 112 },
    { level: 1, full: 1, partial_width: 17 },
    { level: 2, full: 0, partial_width: 1 },
  ]);
  assert.deepEqual(tilesOfTree(256), [
    { level: 0, full: 1, partial_width: 0 },
    { level: 1, full: 0, partial_width: 1 },
  ]);
  assert.deepEqual(tilesOfTree(0), []);
});

test('paths are read back; no other text is a path', () => {
  fc.assert(
    fc.property(
      fc.nat(63),
      fc.nat(Number.MAX_SAFE_INTEGER),
      fc.integer({ min: 1, max: TILE_WIDTH }),
      (level, index, width) => {
        assert.deepEqual(parseTilePath(tilePath(level, index, width)), { kind: 'tile', level, index, width });
        assert.deepEqual(parseTilePath(entriesPath(index, width)), { kind: 'entries', index, width });
      },
    ),
  );
  const bad = [
    '',
    'tile',
    'tile/0',
    'tile/0/0',
    'tile/0/00',
    'tile/0/0000',
    'tile/00/000',
    'tile/64/000',
    'tile/-1/000',
  ];
  bad.push(
    'tile/0/000/000',
    'tile/0/x000/000',
    'tile/0/x001/x000',
    'tile/0/x000/x001/000',
    'tile/data/000',
    '/tile/0/000',
  );
  bad.push(
    'tile/0/000.p/0',
    'tile/0/000.p/256',
    'tile/0/000.p/01',
    'tile/0/000.p/',
    'tile/0/000.p',
    'tile/0/000\n',
    'tile/0/../000',
  );
  bad.push('tile/0/x009/x007/x199/x254/x740/992', 'tile/0/x001/x009/x007/x199/x254/x740/992', 'tile/0/٠٠٠');
  for (const path of bad) throwsWith(() => parseTilePath(path), 'malformed');
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^tile\/(\d|entries)\/[x0-9/.p]{0,12}$/)), (path) => {
      try {
        const found = parseTilePath(path);
        assert.equal(
          found.kind === 'tile'
            ? tilePath(found.level, found.index, found.width)
            : entriesPath(found.index, found.width),
          path,
        );
      } catch (error) {
        assert.ok(error instanceof LedgerError && error.code === 'malformed', String(error));
      }
    }),
    { numRuns: 2_000 },
  );
});

test('bundles are read back; cut, longer and miscounted ones are refused', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 400 }), { maxLength: 20 }), (entries) => {
      const bundle = encodeEntryBundle(entries);
      assert.deepEqual(decodeEntryBundle(bundle, entries.length), entries);
      throwsWith(() => decodeEntryBundle(bundle, entries.length + 1), 'malformed');
      if (entries.length > 0) {
        throwsWith(() => decodeEntryBundle(bundle, entries.length - 1), 'malformed');
        throwsWith(() => decodeEntryBundle(bundle.subarray(0, -1), entries.length), 'malformed');
      }
      throwsWith(() => decodeEntryBundle(Uint8Array.from([...bundle, 0]), entries.length), 'malformed');
    }),
  );
  const largest = new Uint8Array(65_535).fill(1);
  assert.deepEqual(decodeEntryBundle(encodeEntryBundle([largest, Uint8Array.of(2)]), 2), [largest, Uint8Array.of(2)]);
});

test('roots and proofs from tiles are those of the tree', () => {
  const size = 70_000;
  const tree = new CompactTree();
  // The tiles as a server would hold them.
  const tiles: TileNodes[][] = [];
  const push = (level: number, hash: Uint8Array): void => {
    tiles[level] ??= [];
    if ((tiles[level].at(-1)?.width ?? TILE_WIDTH) === TILE_WIDTH) tiles[level].push(new TileNodes());
    const tile = tiles[level].at(-1)!;
    tile.push(hash);
    if (tile.width === TILE_WIDTH) push(level + 1, tile.root);
  };
  const entry = (i: number) => new TextEncoder().encode(`entry ${i}`);
  const roots = new Map<number, Uint8Array>();
  for (let i = 0; i < size; i++) {
    const leaf = leafHash(entry(i));
    tree.append(leaf);
    push(0, leaf);
    if ([1, 255, 256, 257, 65_535, 65_536, 65_537, 69_999, size].includes(i + 1)) roots.set(i + 1, tree.root());
  }
  for (const { level, full, partial_width } of tilesOfTree(size)) {
    assert.equal(tiles[level].length, full + (partial_width > 0 ? 1 : 0));
    if (partial_width > 0) assert.equal(tiles[level].at(-1)!.width, partial_width);
  }
  const node = nodesFromTiles((level, index, width) => {
    const tile = tiles[level][index];
    assert.ok(tile.width >= width);
    return TileNodes.fromBytes(tile.toBytes(width)); // Only what was asked for.
  });
  for (const [at, root] of roots) {
    assert.deepEqual(rootAt(at, node), root);
    for (const index of [0, Math.floor(at / 2), at - 1]) {
      assert.ok(
        verifyInclusion(leafHash(entry(index)), index, at, inclusionProof(index, at, node), root),
        `${index} of ${at}`,
      );
    }
  }
  throwsWith(() => tiles[2][0].node(0, 1), 'out-of-range');
  throwsWith(() => tiles[2][0].root, 'out-of-range');
  throwsWith(() => tiles[2][0].toBytes(2), 'out-of-range');
  // A hub may send anything.
  const whole = tiles[0][0].toBytes();
  const longer = TileNodes.fromBytes(concatBytes(whole, new Uint8Array(40_000)));
  assert.deepEqual([longer.width, longer.root], [TILE_WIDTH, tiles[0][0].root]);
  assert.equal(TileNodes.fromBytes(whole.subarray(0, 33)).width, 2);
});
