// A run leaves a log by its owner's word, at rest, with what the log says of it; nothing of it is at stake there any more.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LOGS_LIMITS } from '../limits.ts';
import { happen, hubB, leavingOf, pausedRun, peerOf, refusalIn, said } from '../testing/moves-by-hand.ts';
import { movedOf, refusalOfMoved } from './leaving.ts';

test('a run moves so many times, because it shows every time where it has been', async () => {
  const { a, owner, run } = await pausedRun();
  run.moves = LOGS_LIMITS.moves;
  assert.equal(refusalIn(a, owner.id, leavingOf(run)), 'too-many-moves');
  run.moves--;
  happen(a, owner.id, leavingOf(run));
});

test('a run leaves only while it is paused and at rest, by its owner’s word, and stays if it is resumed first', async () => {
  const { a, hub, owner, run } = await pausedRun();
  const leaving = leavingOf(run);
  assert.equal(refusalIn(a, hub.id, leaving), 'not-the-owner');
  assert.equal(refusalIn(a, owner.id, { ...leaving, to: hub.id }), 'wrong-hub');
  assert.equal(refusalIn(a, owner.id, { ...leaving, attempt: 0 }), 'wrong-round');
  assert.equal(refusalIn(a, owner.id, { ...leaving, round: 1 }), 'wrong-round');
  const contest = { by: owner.id, shows_round: 1, judges: [], seals: new Map(), verdicts: new Map() };
  run.contests.set('c'.repeat(64), contest);
  assert.equal(refusalIn(a, owner.id, leaving), 'wrong-phase');
  run.contests.clear();
  const taken = { state: 'a'.repeat(64), size_bytes: 1 };
  const about = { run: run.id, owner: owner.id, to: hubB.id, url: leaving.url, move: 0 };
  assert.equal(refusalIn(a, hub.id, { type: 'run.moved', version: 1, ...about, ...taken }), 'wrong-phase');
  happen(a, owner.id, leaving);
  const right = movedOf(a, run);
  const changes = [
    ...[{ state: 'a'.repeat(64) }, { size_bytes: 1 }, { to: hub.id }],
    ...[{ url: 'http://a.example' }, { move: 1 }, { owner: hub.id }],
  ];
  for (const change of changes) {
    assert.equal(refusalIn(a, hub.id, { ...right, ...change }), 'wrong-state', JSON.stringify(change));
  }
  assert.equal(refusalIn(a, owner.id, right), 'not-the-hub');
  assert.equal(refusalIn(a, owner.id, leaving), 'wrong-round');
  happen(a, owner.id, { type: 'run.resumed', version: 1, run: run.id, round: 0, attempt: 2 });
  assert.equal(run.leaving, null);
  assert.equal(refusalIn(a, hub.id, right), 'wrong-phase');
  assert.equal(refusalIn(a, owner.id, leaving), 'wrong-phase');
});

test('a run that has become too large for any log stays where it is', async () => {
  const { a, hub, owner, run } = await pausedRun();
  happen(a, owner.id, leavingOf(run));
  // What is in the text does not matter here: it is as long as twenty thousand devices' records.
  run.model = 'e'.repeat(LOGS_LIMITS.moved_run_bytes);
  const moved = movedOf(a, run);
  const refusal = said(a, hub.id, moved);
  assert.equal(refusal?.code, 'wrong-state');
  assert.match(
    refusal.message,
    new RegExp(`at most ${LOGS_LIMITS.moved_run_bytes} bytes along, .* ${moved.size_bytes}`),
  );
  // One of just as many bytes goes.
  const other = await pausedRun();
  happen(other.a, other.owner.id, leavingOf(other.run));
  other.run.model = 'e'.repeat(2 * LOGS_LIMITS.moved_run_bytes - moved.size_bytes);
  const largest = movedOf(other.a, other.run);
  assert.equal(largest.size_bytes, LOGS_LIMITS.moved_run_bytes);
  assert.equal(refusalOfMoved(other.a, other.run, largest), null);
});

test('of a run that has left no decision can be contested and no notice runs: what was locked for good stays so', async () => {
  const { a, hub, owner, run } = await pausedRun();
  const [worker, account] = ['1'.repeat(64), '2'.repeat(64)];
  run.peers.set(worker, peerOf(worker));
  run.shares.set(account, 9);
  run.emitted_shares = 9;
  const lock = { account, device: worker, shares: 2 };
  run.locks = [
    { ...lock, free_round: 5 },
    { ...lock, free_round: null },
  ];
  const cost = { lost: [], record: 0, refusals: 0, contests: 0 };
  const work = { worker, account: worker, round: 0, amount: 0, found: 'accepted', said: [], ...cost } as const;
  run.decided.set('d'.repeat(64), work);
  happen(a, owner.id, leavingOf(run));
  happen(a, hub.id, movedOf(a, run));
  assert.deepEqual([run.locks, run.decided.size], [[{ ...lock, free_round: null }], 0]);
});
