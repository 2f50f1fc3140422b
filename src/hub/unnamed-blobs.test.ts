// A key is free: one that has joined once and left is a stranger like any other, whose uploads count among all strangers'.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ALICE,
  BOB,
  evaluated,
  FIRST_MODEL,
  History,
  joined,
  left,
  OWNER,
  VERA,
} from '../core/testing/example-history.ts';
import { isKnownKey } from './unnamed-blobs.ts';

test('known are owners, who is in a run, and who has done something there', () => {
  const h = new History();
  h.openRound(false);
  assert.deepEqual(
    [OWNER, ALICE, VERA, 'f'.repeat(64)].map((id) => isKnownKey(h.state, id)),
    [true, true, false, false],
  );
  h.happen(VERA, joined('validator'));
  h.happen(VERA, evaluated(0, FIRST_MODEL));
  h.happen(VERA, left(VERA));
  h.happen(BOB, left(BOB));
  assert.deepEqual(
    [VERA, BOB].map((id) => isKnownKey(h.state, id)),
    [true, false],
  );
});
