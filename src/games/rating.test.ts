// Rating over time: skill shows, newcomers count at once, absence fades, and who did not train on its own data is worth nothing.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { GameError } from './errors.ts';
import { inStepScore, type JudgedWork, type RatingRecord, ranking, rateRound, scoreOf } from './rating.ts';

type Records = Map<string, RatingRecord>;

const work = (id: string, improvement: number, more: Partial<JudgedWork> = {}): JudgedWork => ({
  id,
  amount: 30,
  improvement,
  on_assigned: 2,
  on_random: 1,
  steps_apart: 0,
  ...more,
});

function rounds(count: number, judged: readonly JudgedWork[], start: Records = new Map()): Records {
  let records = start;
  for (let i = 0; i < count; i++) records = rateRound(records, judged, []);
  return records;
}

const order = (records: Records) => ranking(records).map(({ id }) => id);
const score = (records: Records, id: string) => scoreOf(records.get(id)!);

test('Plackett-Luce with beta 7 and tau 0.1: four newcomers after one round', () => {
  const records = rateRound(new Map(), [work('a', 4), work('b', 3), work('c', 2), work('d', 1)], []);
  // σ² = (25/3)² + 0.1², c = √(4 · (σ² + 49)); with equal means the winner's Ω is σ²/c · (1 − 1/4).
  const variance = (25 / 3) ** 2 + 0.1 ** 2;
  const c = Math.sqrt(4 * (variance + 49));
  const gains = [1 - 1 / 4, -1 / 4 + 1 - 1 / 3, -1 / 4 - 1 / 3 + 1 - 1 / 2, -1 / 4 - 1 / 3 - 1 / 2];
  ['a', 'b', 'c', 'd'].forEach((id, i) => {
    const { mu, sigma } = records.get(id)!;
    assert.ok(Math.abs(mu - (25 + (variance / c) * gains[i])) < 1e-9, `${id}: ${mu}`);
    assert.ok(sigma < Math.sqrt(variance));
  });
});

test('the better worker comes out first, equals stay equal, and the order of the lists does not matter', () => {
  const list = [work('slow', 1), work('fast', 3), work('usual', 2), work('twin', 2)];
  const records = rounds(30, list);
  assert.deepEqual(order(records), ['fast', 'twin', 'usual', 'slow']);
  assert.equal(score(records, 'twin'), score(records, 'usual'));
  const other = rounds(30, list.toReversed());
  for (const [id, record] of records) assert.ok(Math.abs(other.get(id)!.mu - record.mu) < 1e-9);
});

test('a newcomer counts from its first verified work, also when it comes in last', () => {
  const veterans = rounds(50, [work('a', 2), work('b', 1.9)]);
  const records = rateRound(veterans, [work('a', 2), work('b', 1.9), work('new', 0.1)], []);
  assert.equal(score(records, 'new'), 1);
  assert.equal(scoreOf({ ...records.get('new')!, judged: 0 }), 0);
});

test('absence fades by a quarter a round and harms nothing else; back again, all is as before', () => {
  const before = rounds(40, [work('a', 2), work('b', 1)]);
  let records = before;
  for (let i = 1; i <= 3; i++) {
    records = rateRound(records, [work('b', 1)], ['a']);
    assert.ok(Math.abs(score(records, 'a') / score(before, 'a') - 0.75 ** i) < 1e-12);
  }
  const { mu, sigma, own_data } = records.get('a')!;
  assert.deepEqual(
    { mu, sigma, own_data },
    { mu: before.get('a')!.mu, sigma: before.get('a')!.sigma, own_data: before.get('a')!.own_data },
  );
  const back = rateRound(records, [work('a', 2)], []);
  assert.ok(score(back, 'a') >= 0.99 * score(before, 'a'));
});

test('who trains on other data than its own is worth nothing, however good its update', () => {
  const records = rounds(20, [work('thief', 9, { on_assigned: 1, on_random: 2 }), work('honest', 1)]);
  assert.equal(score(records, 'thief'), 0);
  assert.ok(score(records, 'honest') > 0.999);
  // To be believed again takes until 1 − (2 − 0.95^20) · 0.95^n is above 0: ten rounds.
  const reformed = [9, 10].map((count) => rounds(count, [work('thief', 9), work('honest', 1)], records));
  assert.equal(score(reformed[0], 'thief'), 0);
  assert.ok(score(reformed[1], 'thief') > 0);
});

test('out of step counts less, five steps apart counts nothing', () => {
  assert.deepEqual([0, 5, 6, 1e9, -1].map(inStepScore), [1, 0, 0, 0, 1]);
  assert.ok(Math.abs(inStepScore(1) - 0.8 ** 2.5) < 1e-15);
  const records = rounds(5, [work('late', 2, { steps_apart: 5 }), work('here', 1)]);
  assert.equal(score(records, 'late'), 0);
});

test('who was not looked at stays as it is; who stays away is forgotten in the end; inputs are not changed', () => {
  const before = rounds(3, [work('a', 2), work('b', 1)]);
  const copy = structuredClone(before);
  const records = rateRound(before, [], ['b']);
  assert.deepEqual(before, copy);
  assert.deepEqual(records.get('a'), before.get('a'));
  let gone = records;
  for (let i = 0; i < 1000; i++) gone = rateRound(gone, [], ['b', 'never seen']);
  assert.deepEqual([...gone.keys()], ['a']);
});

test('measurements that are none are refused', () => {
  const refused = (error: unknown) => error instanceof GameError && error.code === 'bad-measurement';
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(() => rateRound(new Map(), [work('a', value)], []), refused);
    assert.throws(() => rateRound(new Map(), [work('a', 1, { steps_apart: value })], []), refused);
  }
  assert.throws(() => rateRound(new Map(), [work('a', 1), work('a', 2)], []), refused);
  assert.throws(() => rateRound(new Map(), [work('a', 1)], ['a']), refused);
});

test('whatever is measured, scores are finite and not negative, and records survive JSON', () => {
  const finite = fc.double({ noNaN: true, noDefaultInfinity: true });
  const one = fc.record({
    amount: finite,
    improvement: finite,
    on_assigned: finite,
    on_random: finite,
    steps_apart: finite,
  });
  fc.assert(
    fc.property(fc.array(fc.array(one, { maxLength: 6 }), { maxLength: 8 }), (history) => {
      let records: Records = new Map();
      for (const judged of history) {
        records = rateRound(
          records,
          judged.map((figures, i) => ({ id: `w${i}`, ...figures })),
          [],
        );
        for (const { score: value } of ranking(records)) assert.ok(Number.isFinite(value) && value >= 0, `${value}`);
        assert.deepEqual(new Map(JSON.parse(JSON.stringify([...records]))), records);
      }
    }),
    { numRuns: 50 },
  );
});
