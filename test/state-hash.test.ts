// A log gives the same states everywhere: in Node and in Chromium, replayed from the beginning or gone on with from a snapshot.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import fc from 'fast-check';
import { History } from '../src/simulation/history.ts';
import { planOf } from '../src/simulation/plan.ts';
import { inChromium, skip } from './in-chromium.ts';
import { type ReplayCase, stateHashes } from './state-hash-case.ts';

/** Histories with crashes, leaves, late work, lies and several checkpoints: logs with everything in them. */
const SEEDS = [3, 48, 489];

async function logOf(seed: number): Promise<ReplayCase> {
  const world = new History(planOf(seed), null);
  const { violation } = await world.play();
  assert.equal(violation, null);
  return { hub: world.hubIdentity.id, entries: world.disk.entries.map((entry) => Buffer.from(entry).toString('hex')) };
}

const logs: ReplayCase[] = [];
before(async () => {
  for (const seed of SEEDS) logs.push(await logOf(seed));
});

test('the same state hash after every event in Node and in Chromium', { skip }, async () => {
  const expected = stateHashes(logs[0]);
  assert.ok(expected.length > 50);
  assert.equal(new Set(expected).size, expected.length, 'every event changes the state');
  assert.deepEqual(await inChromium('/test/state-hash-case.ts', 'stateHashes', logs[0]), expected);
});

test('going on from a state that went through its bytes, however often, gives the states of a replay from the beginning', () => {
  const expected = logs.map((log) => stateHashes(log));
  const places = fc.array(fc.nat({ max: 400 }), { maxLength: 6 });
  fc.assert(
    fc.property(fc.nat({ max: logs.length - 1 }), places, (which, restored_at) => {
      assert.deepEqual(stateHashes({ ...logs[which], restored_at }), expected[which]);
    }),
    { numRuns: 12 },
  );
});
