// Tests of what an owner allows a tab: hours over midnight, and strange things in the browser's storage.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isWithin, NO_LIMITS, parse } from './limits.ts';

test('hours within a day, over midnight, and the whole day', () => {
  const within = (from: number, to: number) => [0, 6, 8, 12, 22, 23].filter((hour) => isWithin({ from, to }, hour));
  assert.deepEqual(within(8, 22), [8, 12]);
  assert.deepEqual(within(22, 6), [0, 22, 23]);
  assert.deepEqual(within(8, 8), [0, 6, 8, 12, 22, 23]);
});

test('what is kept is read back; what is strange is no limit', () => {
  const limits = { duty_percent: 25, threads: 2, hours: { from: 22, to: 6 }, only_charging: true };
  assert.deepEqual(parse(JSON.stringify(limits)), limits);
  for (const text of [
    '',
    'null',
    '3',
    '"x"',
    '{"duty_percent":0,"threads":-1,"hours":{"from":24,"to":1}}',
    '{"hours":7}',
  ]) {
    assert.deepEqual(parse(text), NO_LIMITS, text);
  }
});
