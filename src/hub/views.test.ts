// What people are told of a run whose workers do not keep up.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ALICE, BOB, created, History, joined, OWNER, RUN } from '../core/testing/example-history.ts';
import { type PeerTelemetry, runStatuses, runView } from './views.ts';

const slow = { code: 'too-slow', message: 'a step takes 14 s here, a round has 6.0 s' };
const progress = {
  state: 'waiting' as const,
  round: 0,
  amount: 0,
  amount_per_second: 0,
  numbers: { steps: 0, loss_micro: 0 },
};
const says = (obstacle?: typeof slow): PeerTelemetry => ({
  ...{ progress: { ...progress, ...(obstacle && { obstacle }) }, bytes_up: 0, bytes_down: 0 },
});
const time = { until_ms: () => 0 };

test('where every worker is too slow, the run has a problem, with the times that one of them gives', () => {
  const history = new History();
  history.happen(OWNER, created(), RUN);
  history.happen(ALICE, joined());
  history.happen(BOB, joined());
  const problem = (alice?: typeof slow, bob?: typeof slow) =>
    runStatuses(
      history.state,
      time,
      new Map([
        [ALICE, says(alice)],
        [BOB, says(bob)],
      ]),
      () => 0,
    )[0].problem;
  assert.equal(
    problem(slow, slow),
    'no worker keeps up with the rounds; one of 2 says: a step takes 14 s here, a round has 6.0 s',
  );
  assert.equal(problem(slow), null);
  assert.equal(problem(), null);
  const { seats } = runView(history.run, time, false);
  assert.deepEqual(seats, { workers: 2, workers_needed: 2, validators: 0 });
});

test('that it has paused is the last that is told of a device that is away, and nothing else is', () => {
  const history = new History();
  history.happen(OWNER, created(), RUN);
  history.happen(ALICE, joined());
  history.run.peers.get(ALICE)!.present = false;
  const shown = (state: 'paused' | 'working') => {
    const telemetry = new Map([[ALICE, { progress: { ...progress, state }, bytes_up: 0, bytes_down: 0 }]]);
    return runStatuses(history.state, time, telemetry, () => 0)[0].peers[0].progress?.state;
  };
  assert.deepEqual([shown('paused'), shown('working')], ['paused', undefined]);
});
