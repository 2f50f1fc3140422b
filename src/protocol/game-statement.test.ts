// A device's statement about a game counts for one run, one device and these words.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gameStatement, isSigned } from './game-statement.ts';
import { utf8 } from './hash.ts';
import { createIdentity } from './identity.ts';

const [RUN, OTHER] = ['1', '2'].map((digit) => digit.repeat(64));

test('a signed statement counts for its run, its device and its words alone', async () => {
  const [alice, bob] = [createIdentity(), createIdentity()];
  const said = utf8('micro-batch 7: abc');
  const signature = await alice.sign(gameStatement(RUN, said));
  assert.ok(isSigned(RUN, alice.id, said, signature));
  assert.ok(!isSigned(OTHER, alice.id, said, signature));
  assert.ok(!isSigned(RUN, bob.id, said, signature));
  assert.ok(!isSigned(RUN, alice.id, utf8('micro-batch 8: abc'), signature));
  assert.ok(!isSigned(RUN, 'nobody', said, signature));
  // Nor do words that were signed for anything else.
  assert.ok(!isSigned(RUN, alice.id, said, await alice.sign(said)));
});
