// Tests of what an owner allows a tab: strange things in the browser's storage.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NO_LIMITS, parse } from './limits.ts';

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
