// How long something takes, in words.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatDuration } from './duration.ts';

test('the two largest units at most, rounded before they are told apart', () => {
  const [second, minute, hour, day] = [1000, 60_000, 3_600_000, 86_400_000];
  for (const [duration_ms, words] of [
    [-5, '0 s'],
    [400, '0 s'],
    [59_400, '59 s'],
    [59_600, '1 min'],
    [95_000, '1 min 35 s'],
    [hour - 400, '1 h'],
    [hour + 29 * second, '1 h'],
    [3_725_000, '1 h 2 min'],
    [47 * hour + 59 * minute, '47 h 59 min'],
    [2 * day - second, '2 days'],
    [3 * day + 5 * hour, '3 days 5 h'],
    [10 * day - minute, '10 days'],
    [99.6 * day, '100 days'],
    [365 * day, '365 days'],
    [1000 * day, '3 years'],
    [73 * 365.25 * day, '73 years'],
    [Number.POSITIVE_INFINITY, 'for ever'],
  ] as const) {
    assert.equal(formatDuration(duration_ms), words);
  }
});
