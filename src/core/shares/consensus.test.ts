// A round's consensus: what pay uses is Yuma's to the last bit, and a lying minority moves nobody.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { DEFAULT_YUMA_PARAMETERS, yumaEpoch } from '../testing/yuma-reference.ts';
import { consensusOfRound, largestReached, type RoundBonds, type RoundConsensus } from './consensus.ts';
import { ONE } from './fixed-point.ts';

type Scores = Readonly<Record<string, Readonly<Record<string, number>>>>;

function round(stakes: Record<string, number | bigint>, workers: string[], scores: Scores, bonds: RoundBonds = []) {
  const staked = Object.entries(stakes).map(([id, stake]) => ({ id, stake: BigInt(stake) }));
  const rows = new Map(Object.entries(scores).map(([id, row]) => [id, new Map(Object.entries(row))]));
  return consensusOfRound(staked, workers, rows, bonds);
}

const percent = (shares: ReadonlyMap<string, number>): Record<string, number> =>
  Object.fromEntries([...shares].map(([id, share]) => [id, Math.round((share * 100) / ONE)]));

/** The same round as an epoch of the published mechanism: validators are the first uids, workers the next. */
function byReference(
  stakes: Record<string, number | bigint>,
  workers: string[],
  scores: Scores,
  bonds: RoundBonds,
): RoundConsensus {
  const validators = Object.keys(stakes);
  const uid = new Map(workers.map((id, i) => [id, validators.length + i]));
  const everybody = [...validators, ...workers];
  const fill = <T>(value: T): T[] => everybody.map(() => value);
  const old = new Map(bonds);
  const { exact, bonds: stored } = yumaEpoch({
    stake: everybody.map((_, i) => (i < validators.length ? stakes[validators[i]] : 0)),
    weights: everybody.map((id, i) => {
      if (i >= validators.length) return [];
      const others = Object.entries(scores[id]).filter(([worker]) => worker !== id);
      const most = BigInt(Math.max(1, ...others.map(([, score]) => score)));
      // Stored weights: the row's largest becomes 65535, the others in proportion, halves rounded up.
      return others.map(([worker, score]) => [
        uid.get(worker)!,
        Number((2n * BigInt(score) * 65_535n + most) / (2n * most)),
      ]);
    }),
    validator_permits: everybody.map((_, i) => i < validators.length),
    bonds: everybody.map((id, i) => {
      const row = i < validators.length ? (old.get(id) ?? []) : [];
      return row.flatMap(([worker, bond]) => (uid.has(worker) ? [[uid.get(worker)!, bond] as const] : []));
    }),
    ...{ last_update: fill(10), registered: fill(0), block: 10, tempo: 1, emission: 0 },
    parameters: { ...DEFAULT_YUMA_PARAMETERS, yuma3: true, max_validators: everybody.length },
  });
  return {
    consensus: new Map(workers.map((id) => [id, Number(exact.consensus[uid.get(id)!])])),
    dividends: new Map(validators.map((id, i) => [id, Number(exact.dividends[i])])),
    bonds: validators.flatMap((id, i) =>
      stored[i].length === 0 ? [] : [[id, stored[i].map(([to, bond]) => [everybody[to], bond] as const)] as const],
    ),
  };
}

const IDS = ['a', 'b', 'c', 'd', 'e', 'f'];
const each = <T>(of: fc.Arbitrary<T>) => fc.array(of, { minLength: IDS.length, maxLength: IDS.length });
const someRound = fc.record({
  validators: fc.subarray(IDS),
  workers: fc.subarray(IDS),
  stakes: each(fc.oneof(fc.bigInt(0n, 3n), fc.bigInt(0n, 1000n), fc.bigInt(0n, 2n ** 60n))),
  scores: each(each(fc.option(fc.oneof(fc.constant(0), fc.nat(3), fc.nat(70_000), fc.maxSafeNat())))),
  /** So many agree with the first. */
  agree: fc.nat(IDS.length),
});

test('any rounds, one after the other: consensus, dividends and bonds are those of the reference, to the last bit', () => {
  let bonded = 0;
  let contested = 0;
  fc.assert(
    fc.property(fc.array(someRound, { minLength: 2, maxLength: 8 }), (rounds) => {
      let bonds: RoundBonds = [];
      for (const { validators, workers, stakes, scores, agree } of rounds) {
        const staked = Object.fromEntries(validators.map((id) => [id, stakes[IDS.indexOf(id)]]));
        const said = validators.map((id, v) => {
          const row = scores[v < agree ? 0 : v];
          const heard = workers.flatMap((worker) => {
            const score = row[IDS.indexOf(worker)];
            return score === null ? [] : [[worker, score] as const];
          });
          return [id, Object.fromEntries(heard)] as const;
        });
        const found = round(staked, workers, Object.fromEntries(said), bonds);
        assert.deepEqual(found, byReference(staked, workers, Object.fromEntries(said), bonds));
        if (bonds.length > 1) bonded++;
        if (agree < validators.length && [...found.dividends.values()].some((share) => share > 0)) contested++;
        bonds = JSON.parse(JSON.stringify(found.bonds));
      }
    }),
    { numRuns: 400 },
  );
  assert.ok(bonded > 100 && contested > 100, `${bonded} rounds had bonds, ${contested} somebody to disagree`);
});

test('validators that agree: workers have consensus by their scores, validators earn by their stake', () => {
  const row = { anna: 300, ben: 100 };
  const result = round({ v1: 10, v2: 20, v3: 30 }, ['anna', 'ben', 'carl'], { v1: row, v2: row, v3: row });
  assert.deepEqual(percent(result.consensus), { anna: 75, ben: 25, carl: 0 });
  assert.deepEqual(percent(result.dividends), { v1: 17, v2: 33, v3: 50 });
  // A tenth of 0.75 and of 0.25, as u16.
  const bonds = [
    ['anna', 4915],
    ['ben', 1638],
  ];
  assert.deepEqual(
    result.bonds,
    ['v1', 'v2', 'v3'].map((id) => [id, bonds]),
  );
});

test('an exact half of the stake suffices, a little less does not', () => {
  const scores = { v: { a: 1 }, w: { b: 1 } };
  const consensus = (stakes: Record<string, number>) => percent(round(stakes, ['a', 'b'], scores).consensus);
  assert.deepEqual(consensus({ v: 500, w: 500 }), { a: 100, b: 100 });
  assert.deepEqual(consensus({ v: 501, w: 499 }), { a: 100, b: 0 });
});

test('the largest value that so much of the stake reaches; 0 where nothing does', () => {
  const values = [3, 1, 2].map((value) => ({ value, stake: BigInt(value) }));
  assert.deepEqual(
    [1n, 3n, 4n, 5n, 6n, 7n].map((least) => largestReached(values, least)),
    [3, 3, 2, 2, 1, 0],
  );
  assert.equal(largestReached([], 1n), 0);
});

describe('bonds', () => {
  const both = { a: 1, b: 1 };
  const first = round({ v: 1, w: 1 }, ['a', 'b'], { v: both, w: both });

  test('fade by a tenth in a round in which nothing is vouched for', () => {
    const [[, before]] = first.bonds;
    const [[, after]] = round({ v: 1, w: 1 }, ['a', 'b'], { v: {}, w: {} }, first.bonds).bonds;
    assert.deepEqual(
      [before, after].map((row) => row.map(([, bond]) => bond)),
      [
        [3276, 3276],
        [2948, 2948],
      ],
    );
  });

  test('of or to who is not listed any more are forgotten: the state does not grow', () => {
    const after = round({ v: 1 }, ['b'], { v: { b: 1 } }, first.bonds);
    assert.deepEqual(
      after.bonds.map(([id, row]) => [id, row.map(([worker]) => worker)]),
      [['v', ['b']]],
    );
    const nobody = round({}, [], {}, first.bonds);
    assert.deepEqual([nobody.consensus.size, nobody.dividends.size, nobody.bonds], [0, 0, []]);
  });
});

test('only ratios within a row count, and a newcomer counts in its first round like everybody else', () => {
  const first = round({ v: 1, w: 1 }, ['old'], { v: { old: 5 }, w: { old: 7 } });
  const scores = { v: { old: 2, new: 2 }, w: { old: 9e15, new: 9e15 } };
  assert.deepEqual(percent(round({ v: 1, w: 1 }, ['new', 'old'], scores, first.bonds).consensus), { new: 50, old: 50 });
});

test('a device that validates and works is judged by the others only', () => {
  const { consensus } = round({ both: 60, other: 40 }, ['both', 'w'], { both: { both: 100, w: 1 }, other: { w: 1 } });
  assert.deepEqual(percent(consensus), { both: 0, w: 100 });
});

test('a third of the stake that lies does not touch the consensus, nor earns by it', () => {
  const row = each(fc.nat(1000));
  const said = (values: readonly number[]) => Object.fromEntries(IDS.map((id, i) => [id, values[i]]));
  fc.assert(
    fc.property(row, row, row, (honest, one_lie, other_lie) => {
      const stakes = { v0: 400, v1: 300, v2: 300, v3: 250, v4: 250 };
      const truth = said(honest);
      const agreed = round(stakes, IDS, { v0: truth, v1: truth, v2: truth, v3: truth, v4: truth });
      const lies = { v3: said(one_lie), v4: said(other_lie) };
      const lied = round(stakes, IDS, { v0: truth, v1: truth, v2: truth, ...lies });
      assert.deepEqual(lied.consensus, agreed.consensus);
      const earned = (lied.dividends.get('v3')! + lied.dividends.get('v4')!) / ONE;
      if (honest.some((score) => score > 0)) assert.ok(earned <= 500 / 1500 + 1e-6, `the liars earn ${earned}`);
    }),
    { numRuns: 300 },
  );
});
