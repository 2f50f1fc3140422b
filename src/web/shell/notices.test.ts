// Tests of what is worth a notice, and what is not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noticesOf, type Watched } from './notices.ts';

const RUN: Watched = {
  overview: { name: 'a run', phase: 'working', round: 3, round_ms: 600_000, judging_ms: 60_000 },
  since_ms: 0,
  work: { phase: 'working', failure: null },
  work_since_ms: 0,
};
const kinds = (change: Partial<Watched>, now_ms: number): string[] => [
  ...noticesOf({ ...RUN, ...change }, now_ms).keys(),
];

test('a run stands still only after three rounds of its own length, and never while it is paused', () => {
  assert.deepEqual(kinds({}, 1_900_000), []);
  assert.deepEqual(kinds({}, 2_000_000), ['stalled']);
  assert.deepEqual(kinds({ overview: { ...RUN.overview, phase: 'paused' } }, 2_000_000), []);
  const quick = { ...RUN.overview, round_ms: 1000, judging_ms: 1000 };
  assert.deepEqual(kinds({ overview: quick }, 500_000), [], 'a run of seconds is not missed within minutes');
});

test('a tab that failed has dropped out; one whose hub is away, after two minutes', () => {
  const failure = { code: 'x', message: 'too little memory' };
  assert.match(noticesOf({ ...RUN, work: { phase: 'failed', failure } }, 0).get('dropped')!, /too little memory\.$/);
  assert.deepEqual(kinds({ work: { phase: 'away', failure: null } }, 100_000), []);
  assert.deepEqual(kinds({ work: { phase: 'away', failure: null } }, 130_000), ['dropped']);
});

test('the end of a run is said, and nothing else of it', () => {
  assert.deepEqual(kinds({ overview: { ...RUN.overview, phase: 'finished' } }, 9e9), ['finished']);
});
