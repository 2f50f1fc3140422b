// How a tab answers callers: only as its owner has agreed, not out of sight, and with training held meanwhile.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ServingWish } from '../../peer/serving-part.ts';
import type { Runtime } from '../../tensor/runtime.ts';
import { openTabServing } from './serving.ts';
import type { AnsweringState } from './state.ts';

const pace = { rested: async () => {}, answered: async () => {} };

function tab() {
  const states: AnsweringState[] = [];
  const serving = openTabServing(pace, (state) => states.push(state));
  const wishes: ServingWish[] = [];
  const begin = () => {
    const options = serving.optionsOn({} as Runtime);
    return { options, end: options.wishes!((wish) => wishes.push(wish)) };
  };
  return { serving, wishes, begin, now: () => states.at(-1)! };
}

test('a tab serves nobody until its owner agrees, and each stretch of work begins as it was agreed', () => {
  const { serving, wishes, begin } = tab();
  const first = begin();
  assert.deepEqual(wishes, [{ places: 0, paused: false, region: null }]);
  serving.setAnswering({ places: 2, region: 'de' });
  serving.setAnswering({ places: 2, region: 'de' });
  serving.setHidden(true);
  assert.deepEqual(wishes.slice(1), [
    { places: 2, paused: false, region: 'de' },
    { places: 2, paused: true, region: 'de' },
  ]);
  first.end();
  serving.setHidden(false);
  begin();
  assert.deepEqual(wishes.slice(3), [{ places: 2, paused: false, region: 'de' }]);
});

test('training waits while a caller is answered, and what is written adds up over stretches of work', async () => {
  const { serving, begin, now } = tab();
  const first = begin();
  serving.setAnswering({ places: 2, region: null });
  serving.offered();
  assert.equal(now().ready, true);
  await serving.idle();
  first.options.onAnswers!(1, 0);
  first.options.onAnswers!(2, 0);
  let free = false;
  const waiting = serving.idle().then(() => {
    free = true;
  });
  first.options.onAnswers!(1, 1);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(free, false);
  first.options.onAnswers!(0, 2);
  await waiting;
  first.options.onAnswers!(1, 2);
  first.end();
  await serving.idle();
  assert.deepEqual(now(), { places: 2, hidden: false, ready: false, writing: 0, written: 2 });
  begin().options.onAnswers!(0, 1);
  assert.equal(now().written, 3);
});
