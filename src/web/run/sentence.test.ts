// The sentence over a run is true in every state that a run can be in, and offers only what can be done there.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PeerView } from '../../protocol/messages.ts';
import { exampleOverview } from '../../protocol/testing/example-views.ts';
import { describeRun } from './sentence.ts';

const worker = (present: boolean, merged_submissions = 1): PeerView => ({
  ...{ id: 'a', name: 'ada', role: 'worker', runtime: 'wasm', present, credit_amount: 1, progress: null },
  ...{ merged_submissions, refused_submissions: 0, bytes_up: 0, bytes_down: 0 },
});
const validator: PeerView = { ...worker(true, 0), role: 'validator' };
const of = (more: Parameters<typeof exampleOverview>[0], ...peers: PeerView[]) =>
  describeRun(exampleOverview({ rounds: 60, ...more }), peers);

test('a run that lives says who teaches what, and how much it has read', () => {
  const { sentence, action } = of(
    { phase: 'working', round: 3, merged_amount: 107_000 },
    worker(true),
    worker(true),
    validator,
  );
  assert.equal(sentence, '2 devices are teaching a small model. It has read 107k tokens.');
  assert.equal(action, 'lend');
  assert.match(of({ phase: 'judging', round: 3 }, worker(true)).sentence, /^One device is teaching/);
});

test('a run that nobody has come to, one that waits for more, and one that everybody has left', () => {
  assert.match(of({ phase: 'gathering' }).sentence, /waits for its first device/);
  const waiting = of({ phase: 'gathering', workers_needed: 4 }, worker(true, 0));
  assert.equal(waiting.sentence, 'One device is here. 3 more, and it begins.');
  assert.match(waiting.next!, /when 4 devices are here/);
  assert.match(of({ phase: 'gathering', workers_needed: 1 }, worker(true, 0)).sentence, /It is about to begin/);
  const cut = of(
    { phase: 'gathering', round: 3, workers_needed: 3, stages: 3, merged_amount: 9000 },
    worker(true),
    worker(true),
    worker(false),
  );
  assert.equal(cut.sentence, '2 devices are here. 1 more, and it goes on. It has read 9k tokens.');
  assert.match(cut.next!, /^Its model is cut into 3 stages, and each needs a device\./);
  assert.match(of({ phase: 'gathering', round: 3 }, worker(true)).sentence, /^One device is teaching/);
  const left = of({ phase: 'working', round: 3, merged_amount: 9000 }, worker(false));
  assert.equal(left.sentence, 'Nobody is at work now. It has read 9k tokens.');
  assert.match(left.next!, /^3 of 60 rounds are merged/);
});

test('a round that begins again and again, and a model that gets worse, are told with a way out', () => {
  const state = { phase: 'working', round: 3, round_ms: 20_000 } as const;
  assert.match(of({ ...state, attempt: 4 }, worker(true)).next!, /begun 5 times.*too slow for rounds of 20 s/);
  const [metric] = exampleOverview().metrics;
  const measured = (first: number, last: number, better: 'lower' | 'higher' = 'lower') =>
    of({ ...state, metrics: [{ ...metric, better, first, last }] }, worker(true));
  const worse = measured(5.5, 7);
  assert.match(worse.next!, /7\.000 instead of 5\.500.*lower learning rate/);
  assert.equal(measured(5.5, 2).next, null);
  assert.match(measured(5.5, 2, 'higher').next!, /^Validation loss is lower than at first, 2\.000 instead of 5\.500/);
  assert.equal(measured(5.5, 7, 'higher').next, null);
});

test('a paused run asks nobody to work', () => {
  const { sentence, next, action } = of({ phase: 'paused', round: 2, merged_amount: 5000 }, worker(true));
  assert.equal(sentence, 'Paused by its owner. It has read 5k tokens.');
  assert.match(next!, /nothing is lost/);
  assert.equal(action, null);
  // The hub itself may have paused it, and says why.
  assert.equal(
    of({ phase: 'paused', round: 2, problem: 'its loss only rises' }).sentence,
    'Paused. It has read 0 tokens.',
  );
  assert.match(of({ phase: 'paused', round: 0 }).sentence, /before anything was learned/);
});

test('a finished run, one that ended early, and one that ended with nothing promise what there is', () => {
  const whole = of(
    { phase: 'finished', round: 60, merged_amount: 2_000_000 },
    worker(false),
    worker(true),
    worker(true, 0),
  );
  assert.equal(whole.sentence, '2 devices taught a small model from 2M tokens. It is finished.');
  assert.equal(whole.action, 'play');
  const early = of({ phase: 'finished', round: 4, merged_amount: 5000 }, worker(false));
  assert.match(early.sentence, /ended it after 4 of 60 rounds/);
  const nothing = of({ phase: 'finished', round: 0 });
  assert.match(nothing.sentence, /before anything was learned/);
  assert.match(nothing.next!, /no trained model/);
  assert.equal(nothing.action, 'start');
});

test('a game that trains no model is not called one', () => {
  const { sentence } = of(
    { game: 'research', unit: 'hashes', merged_amount: 1234, phase: 'working', round: 3 },
    worker(true),
  );
  assert.equal(sentence, 'One device is playing a game of research. It has merged 1.23k hashes.');
  assert.equal(of({ game: 'research', phase: 'finished', round: 60 }, worker(true)).action, null);
});

test('a run that has gone to another hub has not ended, and there is nothing to press here', () => {
  const moved = { hub: 'b'.repeat(64), url: 'http://b.example', entry: 0, index: 3 };
  for (const round of [0, 3]) {
    const { sentence, action } = of({ phase: 'finished', round, moved }, worker(false));
    assert.deepEqual([sentence, action], ['Gone to another hub.', null]);
  }
});
