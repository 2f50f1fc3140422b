// The whole way of an update (compress, encode, decode, merge) gives the same bits in Node and in Chromium: whoever replays
// a run from its log, on whatever machine, ends at the same model.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bitIdentityCase } from './bit-identity-case.ts';
import { inChromium, skip } from './in-chromium.ts';

const one = await bitIdentityCase();

test('compress, encode, decode and merge give the same bits in Node and in Chromium', { skip }, async () => {
  assert.deepEqual(await inChromium('/test/bit-identity-case.ts', 'bitIdentityCase'), one);
});

test('the bits are those that this version has always given', () => {
  // A change here is a change of the format or of the merge: runs in progress would fork. It needs a new version number.
  const updates = '3abd6a86b73be8492c14779f5513ee62349b6910a9bc6bcc6497d83a9faa7a9b';
  assert.deepEqual(one, {
    updates,
    updates_beside: updates,
    weights: 'c728182fb6e4e65672e2988e3bb6520d37d1c20fa405c40649ae93c9075e0cdb',
    errors: '232acf9bc7e59a0eac498e8546ee8317811864d555d973502edeb0a0e46ebd22',
  });
});

test('the case is sensitive: another seed gives other bits at every stage', async () => {
  const other = await bitIdentityCase('another seed');
  for (const stage of ['updates', 'weights', 'errors'] as const) assert.notEqual(one[stage], other[stage]);
});
