// The network on a virtual clock: seeded histories in which nothing may fail, the same every time.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BUGS } from '../src/simulation/bugs.ts';
import { planOf } from '../src/simulation/plan.ts';
import { play, shrink } from '../src/simulation/shrink.ts';
import { playStages } from '../src/simulation/staged-history.ts';
import { stagedPlanOf } from '../src/simulation/staged-plan.ts';

/** `npm run simulate -- --seeds 1000` plays more. */
const SEEDS = Number(process.env.POTLUCK_SEEDS ?? 25);

test(`${SEEDS} seeds: nothing that must hold fails`, async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { violation, trace } = await play(planOf(seed));
    assert.equal(violation, null, `seed ${seed}: ${violation}\n${trace.slice(-40).join('\n')}`);
  }
});

/** `npm run simulate -- --stages --seeds 1000` plays more. */
const STAGED_SEEDS = Number(process.env.POTLUCK_STAGED_SEEDS ?? 6);

test(`${STAGED_SEEDS} seeds of runs in stages: every round ends, and who has finished something is paid for it`, async () => {
  for (let seed = 1; seed <= STAGED_SEEDS; seed++) {
    const { violation, trace } = await playStages(stagedPlanOf(seed));
    assert.equal(violation, null, `seed ${seed}: ${violation}\n${trace.slice(-40).join('\n')}`);
  }
  const [once, again] = [await playStages(stagedPlanOf(9)), await playStages(stagedPlanOf(9))];
  assert.deepEqual(again, once, 'a seed is a history');
});

test('a seed is a history: the same log and the same trace every time, another seed gives another', async () => {
  const [first, again, other] = [await play(planOf(48)), await play(planOf(48)), await play(planOf(49))];
  assert.deepEqual(again, first);
  assert.ok(first.log_events > 10);
  assert.notEqual(other.log_hash, first.log_hash);
  assert.notEqual(other.trace_hash, first.trace_hash);
});

test('what the simulator has found stays mended', async () => {
  // 2: judging timed from an old tick; 175: the last tick of a hub that stops is not of the one that starts (the oracle's own fault);
  // 307: ticks put off by events; 489: a stranger says an owner's pause again.
  for (const seed of [2, 175, 307, 489]) assert.equal((await play(planOf(seed))).violation, null, `seed ${seed}`);
});

test('what the simulator has found of runs in stages stays mended', async () => {
  // 50, 58: what was lost with a device's connection counted as taken by its next one.
  for (const seed of [50, 58]) assert.equal((await playStages(stagedPlanOf(seed))).violation, null, `seed ${seed}`);
});

test('a failing history is made smaller, and still fails', async () => {
  const bug = BUGS.find(({ name }) => name === 'payout-rounded-twice')!;
  for (let seed = 1; ; seed++) {
    const plan = planOf(seed);
    if (!(await play(plan, bug)).violation) continue;
    const smallest = await shrink(plan, bug);
    assert.ok(smallest.outcome.violation);
    assert.deepEqual(smallest.plan.faults, [], 'no fault is needed to round twice');
    assert.equal((await play(smallest.plan)).violation, null, 'it is the planted fault that fails, not the small plan');
    return;
  }
});
