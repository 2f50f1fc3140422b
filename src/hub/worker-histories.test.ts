// What a hub remembers of each worker's own losses: of merged work only, thinned out, and the same after a restart.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LoggedEvent } from '../core/events.ts';
import type { StateMachine } from '../core/reduce.ts';
import { initialState, type RunState } from '../core/state.ts';
import { watchedBy } from './watched-machine.ts';
import { openWorkerHistories } from './worker-histories.ts';

const RUN = 'a'.repeat(64);
const [ADA, BEN, VERA] = ['ada', 'ben', 'vera'];

function machine(refuses = false) {
  const state = initialState('b'.repeat(64));
  const submission = (id: string, worker: string) => ({
    ...{ id, worker, verdicts: new Map(), first: null },
    body: { amount: 70, numbers: { steps: 7, loss_micro: 2_000_000 } },
  });
  const submissions = new Map([
    ['one', submission('one', ADA)],
    ['two', submission('two', BEN)],
  ]);
  // No validator speaks, so the work of those with a record is taken: ADA's.
  const peers = new Map([
    [ADA, { consecutive_valid: 1 }],
    [BEN, { consecutive_valid: 0 }],
  ]);
  const judges = { rules: { validators: [VERA] }, eligible: [VERA] };
  const run = { id: RUN, round: 0, submissions, peers, ...judges } as unknown as RunState;
  state.runs.set(RUN, run);
  const bare: StateMachine = {
    refusalOf: () => null,
    apply: () => {
      if (refuses) return { code: 'wrong-round', message: '' };
      run.round += 1;
      return null;
    },
  } as StateMachine;
  const merge = { body: { type: 'round.merged', run: RUN } } as LoggedEvent;
  return { state, bare, merge };
}

test('merged work is remembered with its round, and work that was not merged is not', () => {
  const { state, bare, merge } = machine();
  const histories = openWorkerHistories();
  watchedBy(bare, [histories]).apply(state, merge);
  assert.deepEqual(histories.of(RUN, ADA), [
    { merged_rounds: 1, amount: 70, numbers: { steps: 7, loss_micro: 2_000_000 } },
  ]);
  assert.deepEqual(histories.of(RUN, BEN), []);
  const refusing = machine(true);
  watchedBy(refusing.bare, [histories]).apply(refusing.state, refusing.merge);
  assert.equal(histories.of(RUN, ADA).length, 1);
});

test('a worker of many rounds keeps its first and newest, never more than 64, also over a restart', () => {
  const { state, bare, merge } = machine();
  const histories = openWorkerHistories();
  const watched = watchedBy(bare, [histories]);
  for (let round = 0; round < 1000; round++) watched.apply(state, merge);
  const points = histories.of(RUN, ADA);
  assert.ok(points.length <= 64 && points.length > 30, `${points.length} points`);
  assert.deepEqual([points[0].merged_rounds, points.at(-1)?.merged_rounds], [1, 1000]);
  const again = openWorkerHistories();
  again.restore(structuredClone(histories.take()));
  assert.deepEqual(again.of(RUN, ADA), points);
});
