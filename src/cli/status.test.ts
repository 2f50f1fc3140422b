// What `potluck status` shows: runs that go on, first and alone, and what to do where nobody is credited.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PeerView, RunStatus } from '../protocol/messages.ts';
import { exampleStatus } from '../protocol/testing/example-views.ts';
import { isHubUrl } from './options.ts';
import { describe, liveFirst } from './status.ts';

const HUB = 'http://hub.example:7700';
const peer = (role: 'worker' | 'validator', present = true): PeerView => ({
  ...{ id: 'b'.repeat(64), name: role, role, runtime: 'native-cpu', present, credit_amount: 0 },
  ...{ merged_submissions: 0, refused_submissions: 0, progress: null, bytes_up: 0, bytes_down: 0 },
});
const over = exampleStatus({ run: 'd'.repeat(64), name: 'over', phase: 'finished' });
const live = exampleStatus({ run: 'e'.repeat(64), name: 'live' });

test('finished runs are counted, and shown after the others where they are asked for', () => {
  const some = describe(HUB, [over, live], false);
  assert.match(some, /^run e{12} {2}live\n/);
  assert.match(some, /\n\n1 run is finished: .* status http:\/\/hub\.example:7700 --all$/);
  assert.doesNotMatch(some, /over/);
  const all = describe(HUB, [over, live], true);
  assert.ok(all.indexOf('live') < all.indexOf('over'));
  assert.doesNotMatch(all, /--all/);
  assert.equal(describe(HUB, [], false), `The hub at ${HUB} has no runs.`);
  assert.deepEqual(liveFirst([over, live, over]), [live, over, over]);
});

test('a run on which devices work and nobody judges says that nothing is credited, and how to start a validator', () => {
  const said = (...peers: PeerView[]): string => describe(HUB, [{ ...live, peers }], false);
  const hint = /merged but not credited\. Start one: .* join http:\/\/hub\.example:7700 --run e{12} --role validator/;
  assert.match(said(peer('worker')), hint);
  assert.match(said(peer('worker'), peer('validator', false)), hint);
  assert.doesNotMatch(said(peer('worker'), peer('validator')), /not credited/);
  assert.doesNotMatch(said(), /not credited/);
  assert.doesNotMatch(describe(HUB, [{ ...over, peers: [peer('worker')] }], true), /not credited/);
});

test('who holds which stage of a model, counted from 1, and how far they are in this round', () => {
  const working = (micro_batches: number, round = 0) => ({
    progress: { state: 'working' as const, round, amount: 1, amount_per_second: 1, numbers: { micro_batches } },
  });
  const peers = [
    { ...peer('worker'), name: 'ada', stage: 0, ...working(9) },
    { ...peer('worker'), name: 'bob', stage: 0, ...working(5) },
    { ...peer('worker'), name: 'cyd', stage: 1, ...working(1) },
    { ...peer('worker'), name: 'dan', stage: 1, ...working(40, 1) },
    { ...peer('worker', false), name: 'eve' },
    peer('validator'),
  ];
  const told = (more: Partial<RunStatus>): string[] =>
    describe(HUB, [{ ...live, stages: 3, peers, ...more }], true)
      .split('\n')
      .filter((line) => line.startsWith('  stage '))
      .map((line) => line.trim());
  assert.deepEqual(told({}), [
    'stage 1 of 3: ada, bob; 14 micro-batches this round',
    'stage 2 of 3: cyd, dan; 1 micro-batch this round',
    'stage 3 of 3: nobody',
  ]);
  assert.deepEqual(told({ phase: 'judging' })[0], 'stage 1 of 3: ada, bob');
  assert.deepEqual(told({ stages: undefined }), []);
  assert.deepEqual(told({ phase: 'finished' }), []);
  const crowd = Array.from({ length: 11 }, (_, i) => ({ ...peer('worker'), name: `w${i}`, stage: 0 }));
  assert.equal(
    told({ stages: 2, peers: crowd })[0],
    'stage 1 of 2: w0, w1, w2, w3, w4, w5, w6, w7, 3 more; 0 micro-batches this round',
  );
  const lines = describe(HUB, [{ ...live, stages: 3, peers }], false)
    .split('\n')
    .slice(-6);
  const words = lines.map((line) => /, (stage \d)$|, (stage \d),/.exec(line)?.slice(1).find(Boolean) ?? null);
  assert.deepEqual(words, ['stage 1', 'stage 1', 'stage 2', 'stage 2', null, null]);
  assert.match(lines[5], / validator {2}here$/);
});

test('a word is a hub where it has a scheme or a port, else a run', () => {
  for (const word of ['http://hub', 'https://hub.example', 'localhost', 'localhost:7700', '[::1]:7700', 'hub:1']) {
    assert.ok(isHubUrl(word), word);
  }
  for (const word of ['3fa9c1', 'my run', 'a run: the second', 'v1.2']) assert.ok(!isHubUrl(word), word);
});
