// The work of a merge as an audit believes it: by the workers' blobs, from the bundle, or not at all; and why a model is not computed anew.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeBundle } from '../games/bundle.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { whyUnchecked, worksOfMerge } from './models.ts';

const pieces = [7, 8, 9].map((byte, i) => ({ work: Uint8Array.of(byte), weight: i + 1 }));
const bundled = encodeBundle(pieces);
const named = pieces.map(({ work, weight }, i) => ({
  ...{ index: i, event: `event ${i}`, work: sha256Hex(work), size_bytes: 1, weight },
}));
const task = { index: 5, round: 2, bundle: sha256Hex(bundled), works: named };
const own = pieces.map(({ work }) => work);
const gone = own.map(() => null);

test('work is had from the workers’ blobs or from the bundle, and from neither where both have gaps', () => {
  assert.deepEqual(worksOfMerge(task, own, null), own);
  assert.deepEqual(worksOfMerge(task, own, bundled), own);
  assert.deepEqual(worksOfMerge(task, gone, bundled), own);
  assert.deepEqual(worksOfMerge(task, [own[0], null, own[2]], bundled), own);
  assert.equal(worksOfMerge(task, [own[0], null, own[2]], null), null);
});

test('a bundle that is not the accepted work is an untruth, wherever the difference is', () => {
  const wrong = { code: 'wrong-bundle' };
  const other = encodeBundle(pieces.slice(1));
  assert.throws(() => worksOfMerge({ ...task, bundle: sha256Hex(other) }, own, null), wrong, 'of other work');
  assert.throws(() => worksOfMerge(task, gone, other), wrong, 'with fewer pieces');
  assert.throws(() => worksOfMerge(task, gone, Uint8Array.of(1)), wrong, 'that is none');
  const [first, ...rest] = pieces;
  assert.throws(
    () => worksOfMerge(task, gone, encodeBundle([{ ...first, weight: 2 }, ...rest])),
    wrong,
    'other weight',
  );
  assert.throws(() => worksOfMerge(task, gone, encodeBundle([...rest, first])), wrong, 'in another order');
});

test('a model is computed anew where its game, its work and the model before are at hand', () => {
  const at = { hasGame: true, hasWork: true, present: 'a' };
  assert.equal(whyUnchecked({ parent: 'a' }, at), null);
  assert.match(whyUnchecked({ parent: 'a' }, { ...at, hasGame: false })!, /--game-file/);
  assert.match(whyUnchecked({ parent: 'a' }, { ...at, hasWork: false })!, /not kept/);
  assert.match(whyUnchecked({ parent: 'a' }, { ...at, present: 'b' })!, /before/);
  assert.match(whyUnchecked({ parent: 'a' }, { ...at, present: null })!, /before/);
});
