// What a session does next, and what it makes of failures, a line a case.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OwnershipError } from '../audit/ownership-errors.ts';
import { PeerError } from '../protocol/peer-errors.ts';
import { exampleView } from '../protocol/testing/example-views.ts';
import { planAfterActing, planAfterBinding, planAfterJoining, planSession, type SessionKnows } from './session-plan.ts';

const view = exampleView({ phase: 'working' });
const failure = new PeerError('other-hub', 'no');
const refused = (refusal: string): PeerError => new PeerError('refused', 'no', { refusal });
const fullDisk = Object.assign(new Error('ENOSPC'), { syscall: 'write', code: 'ENOSPC' });

test('a session acts once on the newest view, waits for the next, and leaves when the run or its owner wants it', () => {
  const known: SessionKnows = { newest: view, acted: null, finished: false, leaving: false, failure: null };
  const next = (more: Partial<SessionKnows>) => planSession({ ...known, ...more });
  assert.deepEqual(next({}), { do: 'act', view });
  assert.deepEqual(next({ acted: view }), { do: 'wait' });
  assert.deepEqual(next({ acted: exampleView() }), { do: 'act', view });
  assert.deepEqual(next({ newest: null, acted: view }), { do: 'wait' }, 'another device has its place');
  assert.deepEqual(next({ leaving: true }), { do: 'leave' });
  assert.deepEqual(next({ failure }), { do: 'fail', error: failure });
  assert.deepEqual(next({ failure, leaving: true }), { do: 'fail', error: failure });
  assert.deepEqual(next({ finished: true, failure }), { do: 'leave' }, 'nothing more is to be done');
});

test('a device that works for nobody, or for somebody else, ends; one that cannot ask for now goes on', () => {
  assert.equal(planAfterBinding(new OwnershipError('bound-to-another', 'no')), 'end');
  assert.equal(planAfterBinding(refused('device-revoked')), 'end');
  assert.equal(planAfterBinding(new PeerError('disconnected', 'away')), 'ignore');
  assert.equal(planAfterBinding(new PeerError('key-in-use', 'away')), 'ignore');
  assert.equal(planAfterBinding(new PeerError('bad-receipt', 'no proof')), 'tell');
  assert.equal(planAfterBinding(fullDisk), 'tell');
  assert.equal(planAfterBinding(new TypeError('a mistake')), 'throw');
});

test('a peer that the hub does not take ends, unless the log knows it or another connection is welcome by now', () => {
  assert.equal(planAfterJoining(refused('unknown-run'), false), 'end');
  assert.equal(planAfterJoining(refused('already-present'), false), 'ignore');
  assert.equal(planAfterJoining(refused('unknown-run'), true), 'ignore');
  assert.equal(planAfterJoining(new PeerError('disconnected', 'away'), false), 'ignore');
});

test('what may pass is begun afresh, what is known to be wrong is told, a mistake in the code is thrown', () => {
  assert.equal(planAfterActing(fullDisk), 'again');
  assert.equal(planAfterActing(new PeerError('refused', 'no', { refusal: 'unexpected', status: 503 })), 'again');
  assert.equal(planAfterActing(new PeerError('refused', 'no', { refusal: 'unexpected', status: 404 })), 'tell');
  assert.equal(planAfterActing(new PeerError('bad-blob', 'no')), 'tell');
  assert.equal(planAfterActing(new TypeError('a mistake')), 'throw');
});
