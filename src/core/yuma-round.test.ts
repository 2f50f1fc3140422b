// A round of consensus over ids: who is paid what, that names and order do not matter, and that a lying minority moves nobody.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ONE } from './fixed-point.ts';
import {
  consensusOfRound,
  DEFAULT_ROUND_RULES,
  type RoundBonds,
  type RoundConsensus,
  type RoundRules,
  type StakedValidator,
} from './yuma-round.ts';

type Scores = Record<string, Record<string, number>>;

const staked = (stakes: Record<string, number>): StakedValidator[] =>
  Object.entries(stakes).map(([id, stake]) => ({ id, stake }));

function round(
  stakes: Record<string, number>,
  workers: string[],
  scores: Scores,
  bonds: RoundBonds = [],
  rules: Partial<RoundRules> = {},
): RoundConsensus {
  const rows = new Map(Object.entries(scores).map(([id, row]) => [id, new Map(Object.entries(row))]));
  const result = consensusOfRound(staked(stakes), workers, rows, bonds, { ...DEFAULT_ROUND_RULES, ...rules });
  assert.ok(!('code' in result), 'code' in result ? result.message : '');
  return result;
}

const percent = (shares: Map<string, bigint>): Record<string, number> =>
  Object.fromEntries([...shares].map(([id, share]) => [id, Math.round((Number(share) * 100) / ONE)]));

test('validators that agree: workers are paid by their scores, validators by their stake', () => {
  const row = { anna: 300, ben: 100 };
  const result = round({ v1: 10, v2: 20, v3: 30 }, ['anna', 'ben', 'carl'], { v1: row, v2: row, v3: row });
  assert.deepEqual(percent(result.incentives), { anna: 75, ben: 25, carl: 0 });
  assert.deepEqual(percent(result.dividends), { v1: 17, v2: 33, v3: 50 });
  assert.deepEqual(percent(result.validator_trust), { v1: 100, v2: 100, v3: 100 });
  assert.deepEqual(
    result.bonds.map(([id, row]) => [id, row.map(([worker]) => worker)]),
    [
      ['v1', ['anna', 'ben']],
      ['v2', ['anna', 'ben']],
      ['v3', ['anna', 'ben']],
    ],
  );
});

test('only ratios within a row count, and a newcomer is paid in its first round like everybody else', () => {
  const first = round({ v: 1, w: 1 }, ['old'], { v: { old: 5 }, w: { old: 7 } });
  const next = round(
    { v: 1, w: 1 },
    ['old', 'new'],
    { v: { old: 2, new: 2 }, w: { old: 9e15, new: 9e15 } },
    first.bonds,
  );
  assert.deepEqual(percent(next.incentives), { old: 50, new: 50 });
});

test('a silent validator has no voice and earns nothing; one that says 0 of all has one', () => {
  const row = { a: 1 };
  const before = round({ x: 1, y: 1, z: 2 }, ['a', 'b'], { x: row, y: row, z: row });
  const silent = round({ x: 1, y: 1, z: 2 }, ['a', 'b'], { x: row, y: row }, before.bonds);
  assert.deepEqual(percent(silent.incentives), { a: 100, b: 0 });
  assert.deepEqual(percent(silent.dividends), { x: 50, y: 50, z: 0 });
  assert.ok(
    silent.bonds.some(([id]) => id === 'z'),
    'bonds outlast a silent round',
  );
  const zeros = round({ x: 1, y: 1, z: 3 }, ['a', 'b'], { x: row, y: row, z: {} }, before.bonds);
  assert.deepEqual(percent(zeros.incentives), { a: 0, b: 0 });
  // Under "Yuma 2" bonds go on paying.
  const paid = round({ x: 1, y: 1, z: 2 }, ['a', 'b'], { x: row, y: row }, before.bonds, { yuma3: false });
  assert.deepEqual(percent(paid.dividends), { x: 35, y: 35, z: 30 });
});

test('who is first to see a good worker earns more than who follows', () => {
  let bonds: RoundBonds = [];
  const workers = ['good', 'usual'];
  const late = { usual: 1 };
  const early = { usual: 1, good: 1 };
  // The middle validator changes its mind in the third round, the last one in the sixth.
  let dividends = new Map<string, bigint>();
  for (let i = 0; i < 8; i++) {
    const result = round(
      { first: 1, second: 1, third: 1 },
      workers,
      { first: early, second: i < 2 ? late : early, third: i < 5 ? late : early },
      bonds,
      { bonds_penalty: 0 },
    );
    ({ bonds, dividends } = result);
  }
  assert.ok(dividends.get('first')! > dividends.get('second')! && dividends.get('second')! > dividends.get('third')!);
});

test('a device that validates and works is judged by the others only', () => {
  const result = round({ both: 60, other: 40 }, ['both', 'w'], { both: { both: 100, w: 1 }, other: { w: 1 } });
  assert.deepEqual(percent(result.incentives), { both: 0, w: 100 });
});

test('whoever is not listed any more is forgotten; the state does not grow', () => {
  const before = round({ v: 1, w: 1 }, ['a', 'b'], { v: { a: 1, b: 1 }, w: { a: 1, b: 1 } });
  const after = round({ v: 1 }, ['b'], { v: { b: 1 } }, before.bonds);
  assert.deepEqual(
    after.bonds.map(([id, row]) => [id, row.map(([worker]) => worker)]),
    [['v', ['b']]],
  );
  const nobody = round({}, [], {}, before.bonds);
  assert.deepEqual([nobody.incentives.size, nobody.dividends.size, nobody.bonds], [0, 0, []]);
});

const names = (prefix: string, count: number) => Array.from({ length: count }, (_, i) => `${prefix}${i}`);
const VALIDATORS = names('v', 5);
const WORKERS = names('w', 6);
const arbitraryScores = fc.array(fc.array(fc.nat(1000), { minLength: 6, maxLength: 6 }), {
  minLength: 5,
  maxLength: 5,
});
const asScores = (rows: readonly (readonly number[])[]): Scores =>
  Object.fromEntries(
    rows.map((row, i) => [VALIDATORS[i], Object.fromEntries(row.map((score, j) => [WORKERS[j], score]))]),
  );
const stakesOf = (amounts: readonly number[]) =>
  Object.fromEntries(amounts.map((amount, i) => [VALIDATORS[i], amount]));
const amounts = fc.array(fc.integer({ min: 1, max: 1e9 }), { minLength: 5, maxLength: 5 });

test('names and order do not matter, also not over several rounds; bonds survive JSON', () => {
  const renamed = (ids: readonly string[], seed: number) =>
    new Map(ids.map((id, i) => [id, `${(i * seed) % 7}-${id}`]));
  fc.assert(
    fc.property(
      amounts,
      fc.array(arbitraryScores, { minLength: 1, maxLength: 3 }),
      fc.boolean(),
      (stakes, rounds, yuma3) => {
        const name = new Map([...renamed(VALIDATORS, 3), ...renamed(WORKERS, 4)]);
        let here: RoundBonds = [];
        let there: RoundBonds = [];
        for (const rows of rounds) {
          const scores = asScores(rows);
          const a = round(stakesOf(stakes), WORKERS, scores, here, { yuma3 });
          const mapped = Object.entries(scores).map(
            ([id, row]) =>
              [
                name.get(id)!,
                Object.fromEntries(
                  Object.entries(row)
                    .map(([w, s]) => [name.get(w)!, s])
                    .reverse(),
                ),
              ] as const,
          );
          const b = round(
            Object.fromEntries(
              Object.entries(stakesOf(stakes))
                .map(([id, stake]) => [name.get(id)!, stake])
                .reverse(),
            ),
            WORKERS.map((id) => name.get(id)!).reverse(),
            Object.fromEntries(mapped.reverse()),
            there,
            { yuma3 },
          );
          for (const field of ['incentives', 'dividends', 'consensus', 'validator_trust'] as const) {
            for (const [id, share] of a[field]) assert.equal(b[field].get(name.get(id)!), share, `${field} of ${id}`);
          }
          here = JSON.parse(JSON.stringify(a.bonds));
          there = b.bonds;
          assert.deepEqual(here, a.bonds);
        }
      },
    ),
    { numRuns: 200 },
  );
});

test('a third of the stake that lies does not touch the consensus, nor earns by it', () => {
  const honestly = fc.array(fc.nat(1000), { minLength: 6, maxLength: 6 });
  fc.assert(
    fc.property(honestly, arbitraryScores, fc.boolean(), (honest, lies, yuma3) => {
      const stakes = stakesOf([400, 300, 300, 250, 250]);
      const truth = round(stakes, WORKERS, asScores([honest, honest, honest, honest, honest]), [], { yuma3 });
      const lied = round(stakes, WORKERS, asScores([honest, honest, honest, lies[0], lies[1]]), [], { yuma3 });
      assert.deepEqual(lied.consensus, truth.consensus);
      const earned = Number(lied.dividends.get('v3')! + lied.dividends.get('v4')!) / ONE;
      if (honest.some((score) => score > 0)) assert.ok(earned <= 500 / 1500 + 1e-6, `the liars earn ${earned}`);
    }),
    { numRuns: 300 },
  );
});

test('incentives, unlike the consensus, move when a minority withholds its weight from somebody', () => {
  const honest = { a: 1, b: 1 };
  const { incentives, consensus } = round({ x: 1, y: 1, z: 1 }, ['a', 'b'], { x: honest, y: honest, z: { b: 1 } });
  assert.deepEqual(percent(consensus), { a: 50, b: 50 });
  // z's 1 for b is clipped to 0.5, its 0 for a stays: ranks 2/3 · 0.5 against 0.5.
  assert.deepEqual(percent(incentives), { a: 40, b: 60 });
});

test('malformed rounds are refused in a sentence', () => {
  const rows = (scores: Scores) =>
    new Map(Object.entries(scores).map(([id, row]) => [id, new Map(Object.entries(row))]));
  const cases: [Parameters<typeof consensusOfRound>, RegExp][] = [
    [[[...staked({ v: 1 }), ...staked({ v: 2 })], ['a'], rows({}), [], DEFAULT_ROUND_RULES], /v is listed twice/],
    [[staked({ v: 1 }), ['a', 'a'], rows({}), [], DEFAULT_ROUND_RULES], /a is listed twice/],
    [[staked({ v: 1 }), ['a'], rows({ x: {} }), [], DEFAULT_ROUND_RULES], /not a listed validator/],
    [[staked({ v: 1 }), ['a'], rows({ v: { b: 1 } }), [], DEFAULT_ROUND_RULES], /b, who is not a listed worker/],
    [[staked({ v: 1 }), ['a'], rows({ v: { a: -1 } }), [], DEFAULT_ROUND_RULES], /got -1/],
    [[staked({ v: 1 }), ['a'], rows({ v: { a: 0.5 } }), [], DEFAULT_ROUND_RULES], /got 0.5/],
    [[staked({ v: -1 }), ['a'], rows({}), [], DEFAULT_ROUND_RULES], /stake/],
    [[staked({ v: 1 }), ['a'], rows({}), [['v', [['a', 70_000]]]], DEFAULT_ROUND_RULES], /bonds/],
    [[staked({ v: 1 }), ['a'], rows({}), [], { ...DEFAULT_ROUND_RULES, kappa: -1 }], /kappa/],
  ];
  for (const [input, message] of cases) {
    const result = consensusOfRound(...input);
    assert.ok('code' in result && result.code === 'bad-epoch', String(message));
    assert.match(result.message, message);
  }
});
