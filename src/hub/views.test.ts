// What people are told of a run whose workers do not keep up, and what devices are told of stages.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CORE_LIMITS } from '../core/limits.ts';
import {
  ALICE,
  BOB,
  created,
  History,
  HUB,
  joined,
  left,
  OWNER,
  RUN,
  tick,
  VERA,
  work,
} from '../core/testing/example-history.ts';
import { RunStatusSchema, RunViewSchema, WIRE_LIMITS } from '../protocol/messages.ts';
import { ownView, type PeerTelemetry, runStatuses, runView, wholeView } from './views.ts';

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
  const { seats } = runView(history.run, time, 'worker');
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

test('who holds which stage is told to all who take part, a worker its own apart, and of work the stage that it is of', () => {
  const history = new History();
  history.openWith([VERA], { stages: 2, checkpoint_every: 1 });
  const { run } = history;
  const stage = (id: string) => run.peers.get(id)!.stage!;
  history.happen(ALICE, work({ stage: stage(ALICE) }));
  const view = (worker?: string) =>
    worker ? runView(run, time, 'worker', ownView(run, worker)) : wholeView(run, time);
  run.peers.get(BOB)!.consecutive_valid = 1;
  const expected = [ALICE, BOB].map((id) => [id, stage(id), id === BOB]);
  assert.deepEqual(view().roster, expected);
  assert.deepEqual(
    view().submissions.map((one) => one.stage),
    [stage(ALICE)],
  );
  assert.equal(view().stage, undefined);
  assert.deepEqual([view(BOB).roster, view(BOB).stage], [expected, stage(BOB)]);
  run.peers.get(BOB)!.consecutive_valid = 0;
  for (const worker of [undefined, BOB]) assert.deepEqual(RunViewSchema.parse(view(worker)), view(worker));
  history.happen(BOB, left(BOB));
  assert.deepEqual(view().roster, [[ALICE, stage(ALICE), false]]);
  assert.equal(view(BOB).stage, undefined, 'it holds none while it is away');
  const [status] = runStatuses(history.state, time, new Map(), () => 0);
  const shown = RunStatusSchema.parse(status);
  assert.ok(!('roster' in shown));
  assert.ok(!status.peers.some((peer) => 'held' in peer), 'which stages it has held is read in the log');
  assert.deepEqual([shown.stages, shown.workers_needed], [2, 2]);
  assert.deepEqual(
    shown.peers.map((peer) => peer.stage),
    [stage(ALICE), undefined, undefined],
  );
  assert.ok(CORE_LIMITS.staged_workers <= WIRE_LIMITS.roster, 'all workers of a run fit into a view');
});

test('nothing is told of stages where there are none', () => {
  const history = new History();
  history.openWith([VERA]);
  history.happen(HUB, tick(1001));
  history.happen(ALICE, work());
  const view = { ...wholeView(history.run, time), ...ownView(history.run, ALICE) };
  const [status] = runStatuses(history.state, time, new Map(), () => 0);
  for (const part of [view, view.submissions[0], status, ...status.peers]) {
    assert.deepEqual(
      Object.keys(part).filter((name) => ['stage', 'stages', 'roster'].includes(name)),
      [],
    );
  }
});
