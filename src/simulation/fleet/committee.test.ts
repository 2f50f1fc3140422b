// The sample before the core: pay is divided to the last share, honest work is never refused, and lies fare as the core's rules say.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CommitteeOptions, type Judged, playCommittee, type Seat } from './committee.ts';
import { parseFleet } from './fleet.ts';

const { rules } = parseFleet(
  JSON.stringify({
    ...{ name: 'rules', about: 'the usual ones', source: 'none', days: 1, devices: 1 },
    classes: [
      {
        ...{
          name: 'one',
          source: 'none',
          share: 1,
          flops: 1,
          memory_gb: 1,
          judges: 0.5,
          watts: 0,
          eur_per_kwh: 0,
          g_co2_per_kwh: 0,
        },
        ...{ up_mbps: { median: 1, sigma: 0 }, down_mbps: { median: 1, sigma: 0 }, zones: [{ utc_h: 0, share: 1 }] },
        available: { weekday: Array(24).fill(1), weekend: Array(24).fill(1) },
        ...{ session: { mean_h: 1, shape: 1 }, lifetime_days: 1 },
      },
    ],
    model: { source: 'none', parameters: 1, tokens: 1, inner_steps: 1, batch_tokens: 1 },
    round: { source: 'none', work_s: 1, judging_s: 1 },
    rules: { judges: 3 },
    hub: { source: 'none', design: 'step' },
  }),
);

const OPTIONS: CommitteeOptions = {
  ...{ rules, does: 0, from_record: 0, inner_steps: 30, batch_tokens: 1000, judges: 7, rounds: 30, skip: 15 },
  ...{ turnover: 0, seed: 'test', shares_per_round: 1_000_000 },
};
const honest = (count: number, steps = 30): Seat[] =>
  Array.from({ length: count }, () => ({ of: 0, steps, leaves: 0, lies: false }));
const liars = (count: number): Seat[] => honest(count).map((seat) => ({ ...seat, of: 1, lies: true }));
const play = (seats: readonly Seat[], options: Partial<CommitteeOptions> = {}): Judged =>
  playCommittee(seats, { ...OPTIONS, ...options });
const sum = (
  { earned }: Judged,
  of: number,
  field: 'shares' | 'claimed' | 'refused' | 'submitted' | 'lied' | 'caught',
): number => earned.filter((one) => one.of === of).reduce((all, one) => all + one[field], 0);

test('nobody lies: everything is merged and paid by its amount, and the parts are those of the rules', () => {
  const judged = play([...honest(10), ...honest(10, 15).map((seat) => ({ ...seat, of: 1 }))]);
  const { parts, submissions, merged, appeals, seals, repeats } = judged;
  assert.equal(submissions, 20 * 15);
  assert.equal(merged, submissions);
  assert.equal(appeals, 0);
  assert.equal(seals, 3 * submissions, 'three judges for each');
  assert.deepEqual(parts, { workers: 0.41, validators: 0.41, owner: 0.18, unearned: 0 });
  assert.equal(sum(judged, 0, 'refused') + sum(judged, 1, 'refused'), 0);
  const [whole, half] = [0, 1].map((of) => sum(judged, of, 'shares'));
  assert.ok(Math.abs(whole / half - 2) < 1e-4, `${whole} and ${half}`);
  // With a bond of many rounds a work is repeated once in some twenty, and not by all judges as in the first rounds.
  assert.ok(repeats / submissions < 0.3, `${repeats / submissions}`);
  assert.ok(play(honest(20), { rounds: 2, skip: 0 }).repeats / 40 > 1);
});

test('made-up work from the start is always found, and never paid', () => {
  const judged = play([...honest(12), ...liars(4)]);
  assert.equal(sum(judged, 1, 'shares'), 0);
  assert.equal(sum(judged, 1, 'caught'), sum(judged, 1, 'submitted'));
  assert.equal(sum(judged, 0, 'refused'), 0, 'no honest work is refused beside it');
});

test('whoever lies only with a record is found seldom, and loses by it what it had earned', () => {
  const options = { does: 0.5, from_record: 5, rounds: 80, skip: 0 };
  const judged = play([...honest(12), ...liars(4)], options);
  const [lied, caught] = [sum(judged, 1, 'lied'), sum(judged, 1, 'caught')];
  assert.ok(caught > 0 && caught < lied / 2, `${caught} of ${lied}`);
  const price = (of: number): number => sum(judged, of, 'shares') / sum(judged, of, 'claimed');
  assert.ok(price(1) < 0.9 * price(0), `a liar's token brings ${price(1) / price(0)} of an honest one's`);
  assert.ok(judged.appeals > 0);
  assert.equal(sum(judged, 0, 'refused'), 0);
});

test('parts are whole whoever leaves, comes and lies, and the same sample plays the same', () => {
  const seats = [...honest(8), ...liars(2)].map((seat) => ({ ...seat, leaves: 0.2 }));
  const options = { turnover: 0.1, does: 0.3 };
  const judged = play(seats, options);
  const { workers, validators, owner, unearned } = judged.parts;
  assert.ok(Math.abs(workers + validators + owner + unearned - 1) < 1e-12);
  assert.ok(judged.submissions < 10 * 15, 'some left before they handed in');
  assert.deepEqual(play(seats, options), judged);
});

test('without a judge nothing is verified, and workers are paid nothing', () => {
  const judged = play(honest(5), { judges: 0 });
  assert.equal(judged.seals, 0);
  assert.equal(judged.parts.workers, 0);
  assert.ok(judged.merged > 0, 'but merged, as the core has it');
});
