// What a worker does next, a line a case: with a view, with a round that goes on, and with what came of one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exampleView } from '../protocol/testing/example-views.ts';
import { roundKey, taskKey } from './role.ts';
import {
  type AfterWork,
  type Ended,
  nextReserve,
  planAfterWork,
  planInterruption,
  planRound,
  workingTime,
} from './worker-plan.ts';

const view = exampleView({ phase: 'working', round: 3, attempt: 0, model: 'a'.repeat(64) });
const key = roundKey(view);

test('a round is learned from once; between rounds a worker keeps up', () => {
  assert.equal(planRound(view, ''), 'learn');
  assert.equal(planRound(view, key), 'wait');
  assert.equal(planRound({ ...view, attempt: 1 }, key), 'learn');
  for (const phase of ['gathering', 'judging', 'revealing', 'merging', 'paused', 'finished'] as const) {
    assert.equal(planRound({ ...view, phase }, ''), 'keep-up', phase);
  }
});

test('work goes on while its round does, is handed in when that closes, and is missed when another is open', () => {
  assert.equal(planInterruption(view, key), null);
  assert.equal(planInterruption({ ...view, phase: 'judging' }, key), 'stop');
  assert.equal(planInterruption({ ...view, round: 4 }, key), 'missed');
  assert.equal(planInterruption({ ...view, attempt: 1 }, key), 'missed');
  assert.equal(planInterruption({ ...view, round: 4 }, ''), null, 'what does not count any more cannot be missed');
});

test('work on a stage that another device has now is dropped; the own one is begun, unless the round is handed in', () => {
  const staged = { ...view, roster: [], stage: 1 };
  assert.equal(planInterruption(staged, roundKey(staged), 1), null);
  assert.equal(planInterruption({ ...staged, stage: 0 }, roundKey(staged), 1), 'moved');
  assert.equal(planInterruption({ ...staged, stage: 0, phase: 'judging' }, roundKey(staged), 1), 'moved');
  assert.equal(planInterruption({ ...staged, stage: 0, round: 4 }, roundKey(staged), 1), 'missed');
  assert.equal(planInterruption({ ...staged, stage: 0 }, '', 1), null);
  assert.equal(planInterruption({ ...staged, phase: 'judging' }, roundKey(staged), 1), 'stop');
  assert.equal(planRound(staged, taskKey(staged)), 'wait');
  assert.equal(planRound({ ...staged, stage: 0 }, taskKey(staged)), 'learn');
  assert.equal(planRound({ ...staged, stage: 0 }, roundKey(staged)), 'wait', 'its work is in');
  assert.equal(planRound({ ...staged, stage: undefined }, ''), 'keep-up', 'the log has given it none yet');
  assert.equal(taskKey(view), roundKey(view));
});

test('what there is to hand in is handed in, also when it was cut off or the owner wants the device back', () => {
  const claim = { work: new Uint8Array(), amount: 1, numbers: { steps: 1, loss_micro: 1 } };
  const tooSlow = { code: 'too-slow', message: 'this device is too slow' } as const;
  const ended: Ended = { claim, counts: true, rested: false, stopped: false, leaving: false, tooSlow: null };
  const after = (change: Partial<Ended>): string | null => word(planAfterWork({ ...ended, ...change }));
  const word = (next: AfterWork): string | null => (next?.do === 'tell' ? next.why.code : (next?.do ?? null));

  assert.equal(after({}), 'hand-in');
  assert.equal(after({ stopped: true, tooSlow }), 'hand-in');
  assert.equal(after({ stopped: true, leaving: true }), 'hand-in');

  assert.equal(after({ counts: false }), null, 'another round is open by now');
  assert.equal(after({ counts: false, stopped: true, tooSlow }), 'too-slow');
  assert.equal(after({ claim: null, stopped: true, tooSlow }), 'too-slow');
  assert.equal(after({ claim: null, stopped: true }), null);
  assert.equal(after({ claim: null }), 'came-to-nothing');
  assert.equal(after({ claim: null, leaving: true }), null);
  assert.equal(after({ claim: null, rested: true, stopped: true, tooSlow }), 'resting');
  assert.equal(after({ claim: null, rested: true, stopped: true, counts: false, tooSlow }), null);
});

test('the end of a round is kept free for sending: as long as that took, and never most of what is left', () => {
  assert.equal(workingTime(10_000, 1000), 9000);
  assert.equal(workingTime(1000, 1000), 600);
  assert.equal(workingTime(-5, 1000), 0);
  assert.equal(nextReserve(1000, 2000), 3000, 'at once longer');
  assert.equal(nextReserve(1000, 10), 800, 'slowly shorter');
  assert.equal(nextReserve(150, 10), 150);
});
