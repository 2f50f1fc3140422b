// A validator's ratings in its drawer: they survive a restart, what is measured counts when its round is merged, absence fades and comes
// back whole, and what they do to the weight of a verdict never hurts a newcomer or a device that did less work.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Verdict } from '../games/game.ts';
import { judgedWork, ratedWeight, standingPermille } from '../games/rated-weight.ts';
import { type JudgedWork, scoreOf } from '../games/rating.ts';
import { openRatings } from './ratings.ts';

function memory() {
  const kept = new Map<string, Uint8Array>();
  return {
    kept,
    get: async (name: string) => kept.get(name) ?? null,
    put: async (name: string, bytes: Uint8Array) => void kept.set(name, bytes),
    delete: async (name: string) => void kept.delete(name),
  };
}
const work = (id: string, improvement: number, amount = 30): JudgedWork => {
  return { id, amount, improvement, on_assigned: 2, on_random: 1, steps_apart: 0 };
};

test('what was measured counts when its round is merged, also after a restart in between', async () => {
  const drawer = memory();
  const before = await openRatings(drawer);
  await before.measured(0, work('a', 2));
  await before.measured(0, work('b', 1));
  assert.equal(before.records.size, 0);
  const after = await openRatings(drawer);
  await after.opened(1, new Set(['a', 'b']));
  assert.ok(after.records.get('a')!.mu > after.records.get('b')!.mu);
  assert.deepEqual([...(await openRatings(drawer)).records], [...after.records]);
});

test('a round that is opened once more rates nothing; measured again, the newer figure counts', async () => {
  const ratings = await openRatings(memory());
  await ratings.measured(3, work('a', 1));
  await ratings.measured(3, work('b', 2));
  await ratings.opened(3, null);
  assert.equal(ratings.records.size, 0);
  await ratings.measured(3, work('a', 3));
  // Who was measured was there, whatever the last list of submissions says.
  await ratings.opened(4, new Set(['a']));
  assert.deepEqual(
    [...ratings.records.values()].map(({ judged, missed }) => [judged, missed]),
    [
      [1, 0],
      [1, 0],
    ],
  );
  assert.ok(ratings.records.get('a')!.mu > ratings.records.get('b')!.mu);
});

test('who hands nothing in fades and is not punished; a round of which nothing is known changes nobody', async () => {
  const ratings = await openRatings(memory());
  for (let round = 0; round < 5; round++) {
    await ratings.measured(round, work('a', 2));
    await ratings.measured(round, work('b', 1));
  }
  await ratings.opened(5, new Set(['a', 'b']));
  const present = ratings.records.get('a')!;
  await ratings.measured(5, work('b', 1));
  await ratings.opened(6, new Set(['b']));
  assert.ok(scoreOf(ratings.records.get('a')!) < scoreOf(present));
  assert.deepEqual({ ...ratings.records.get('a')!, missed: 0 }, present);
  assert.equal(ratings.standing('a'), standingPermille(present));
  await ratings.opened(7, null);
  assert.equal(ratings.records.get('a')!.missed, 1);
});

test('a damaged drawer begins anew', async () => {
  const drawer = memory();
  for (const text of ['', 'nonsense', '{"round":1}', '{"round":1,"judged":[],"records":[["a",{"mu":"x"}]]}']) {
    drawer.kept.set('ratings', new TextEncoder().encode(text));
    const ratings = await openRatings(drawer);
    assert.deepEqual([ratings.records.size, ratings.standing('a')], [0, 1000]);
  }
});

test('devices of a tenth of the speed keep their whole weight beside fast ones, whatever they improve', async () => {
  const ratings = await openRatings(memory());
  for (let round = 0; round < 60; round++) {
    for (const id of ['fast', 'quick'])
      await ratings.measured(round, work(id, 1 + (round % 2 === 0 ? 1 : -1) * (id === 'fast' ? 0.1 : -0.1)));
    for (const id of ['slow', 'older'])
      await ratings.measured(round, work(id, 0.1 + (round % 3 === 0 ? 0.01 : 0) * (id === 'slow' ? 1 : 2), 3));
  }
  await ratings.opened(60, null);
  for (const id of ['fast', 'quick', 'slow', 'stranger']) assert.equal(ratings.standing(id), 1000, id);
});

test('who is surely worse at like work is vouched for in part', async () => {
  const ratings = await openRatings(memory());
  for (let round = 0; round < 200; round++) {
    for (const [id, value] of [
      ['a', 3],
      ['b', 3],
      ['c', 3],
      ['worse', 1],
    ] as const)
      await ratings.measured(round, work(id, value));
  }
  await ratings.opened(200, null);
  assert.ok(ratings.standing('worse') < 900, `${ratings.standing('worse')}`);
  assert.equal(ratings.standing('a'), 1000);
});

test('weights are whole, never 0, never more than the check vouched for, and untouched where the rule is off', () => {
  const permille = fc.integer({ min: 0, max: 1000 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), permille, permille, (weight, rule, standing) => {
      const rated = ratedWeight(weight, rule, standing);
      assert.ok(Number.isSafeInteger(rated) && rated >= 1 && rated <= weight);
      assert.equal(ratedWeight(weight, 0, standing), weight);
      assert.equal(ratedWeight(weight, rule, 1000), weight);
    }),
  );
  assert.deepEqual([ratedWeight(1000, 1000, 500), ratedWeight(1000, 500, 500), ratedWeight(3, 1000, 0)], [500, 750, 1]);
});

test('a verdict is rated by the gain in its evidence, by its score where a game has none, and only where work was accepted', () => {
  const verdict: Verdict = {
    ...{ accepted: true, fraud: false, code: 'ok', weight: 5, score_micro: 7 },
    ...{ numbers: {}, evidence: {} },
  };
  assert.deepEqual(judgedWork('a', { amount: 4 }, verdict), {
    id: 'a',
    amount: 4,
    improvement: 7,
    on_assigned: 1,
    on_random: 0,
    steps_apart: 0,
  });
  const evidence = { gain: { assigned: 0.5, random: 0.25, before: 2 } };
  assert.deepEqual(judgedWork('a', { amount: 4 }, { ...verdict, evidence }), {
    ...{ id: 'a', amount: 4, improvement: 0.125, on_assigned: 0.5, on_random: 0.25, steps_apart: 0 },
  });
  assert.equal(judgedWork('a', { amount: 4 }, { ...verdict, accepted: false, weight: 0 }), null);
});
