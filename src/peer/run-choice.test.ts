// Which run a device works for that may work for any: a case a line.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PeerRole } from '../core/events/peer-joined.ts';
import { type OpenRun, runToJoin } from './run-choice.ts';

interface Case {
  readonly why: string;
  readonly runs: readonly (Partial<OpenRun> & { readonly run: string })[];
  readonly next: string | null;
  readonly role?: PeerRole;
  readonly worked?: Readonly<Record<string, number>>;
  readonly leftOut?: readonly string[];
}

const HERE = { phase: 'working', workers: 3, workers_needed: 1, validators: 1 } as const;

const CASES: readonly Case[] = [
  { why: 'there is none', runs: [], next: null },
  { why: 'it is the only one', runs: [{ run: 'a' }], next: 'a' },
  {
    why: 'ended and paused ones need nobody',
    runs: [
      { run: 'a', phase: 'finished' },
      { run: 'b', phase: 'paused' },
    ],
    next: null,
  },
  { why: 'any other phase goes on', runs: [{ run: 'a', phase: 'judging' }], next: 'a' },
  { why: 'what did not fit is left out', runs: [{ run: 'a' }], leftOut: ['a'], next: null },
  { why: 'it has a record there', runs: [{ run: 'a' }, { run: 'b', workers: 99 }], worked: { b: 5 }, next: 'b' },
  { why: 'it worked there last', runs: [{ run: 'a' }, { run: 'b' }], worked: { a: 9, b: 5 }, next: 'a' },
  {
    why: 'a record does not open what is paused',
    runs: [{ run: 'a' }, { run: 'b', phase: 'paused' }],
    worked: { b: 5 },
    next: 'a',
  },
  { why: 'a worker is credited there', runs: [{ run: 'a', workers: 0, validators: 0 }, { run: 'b' }], next: 'b' },
  {
    why: 'it waits for one more',
    runs: [
      { run: 'a', workers: 1, workers_needed: 4 },
      { run: 'b', workers: 3, workers_needed: 4 },
    ],
    next: 'b',
  },
  {
    why: 'one that waits before one that works',
    runs: [
      { run: 'a', workers: 1 },
      { run: 'b', workers: 3, workers_needed: 4 },
    ],
    next: 'b',
  },
  {
    why: 'fewest workers',
    runs: [
      { run: 'a', workers: 7 },
      { run: 'b', workers: 2 },
    ],
    next: 'b',
  },
  {
    why: 'fewest validators',
    role: 'validator',
    runs: [
      { run: 'a', workers: 9, validators: 3 },
      { run: 'b', validators: 2 },
    ],
    next: 'b',
  },
  {
    why: 'a validator goes where there is work',
    role: 'validator',
    runs: [
      { run: 'a', workers: 0, validators: 0 },
      { run: 'b', validators: 9 },
    ],
    next: 'b',
  },
];

for (const { why, runs, next, role = 'worker', worked = {}, leftOut = [] } of CASES) {
  test(`${next ?? 'none'} of ${runs.map(({ run }) => run).join(', ') || 'nothing'}: ${why}`, () => {
    for (const order of [runs, runs.toReversed()]) {
      const chosen = runToJoin(
        order.map((run) => ({ ...HERE, ...run })),
        { role, device: 'ada', worked_ms: (run) => worked[run] ?? null, isLeftOut: (run) => leftOut.includes(run) },
      );
      assert.equal(chosen, next);
    }
  });
}

test('devices that ask at the same moment are spread over runs that are alike', () => {
  const runs = ['a', 'b', 'c', 'd'].map((run) => ({ ...HERE, run }));
  const chosen = Array.from({ length: 400 }, (_, i) =>
    runToJoin(runs, { role: 'worker', device: `device ${i}`, worked_ms: () => null, isLeftOut: () => false }),
  );
  for (const { run } of runs) {
    const here = chosen.filter((one) => one === run).length;
    assert.ok(here > 60 && here < 140, `${run}: ${here}`);
  }
});
