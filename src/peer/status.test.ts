// What a peer says of itself: what holds it up goes with every progress, and its owner hears of it once the log knows the peer.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../protocol/clock.ts';
import { exampleView } from '../protocol/testing/example-views.ts';
import { openStatus } from './status.ts';

const slow = { code: 'too-slow', message: 'this device is too slow' } as const;
const training = {
  state: 'working',
  round: 1,
  amount: 2,
  amount_per_second: 4,
  numbers: { steps: 2, loss_micro: 3000000 },
} as const;

test('an obstacle goes to the hub with the present progress and every later one, until it is over', () => {
  const sent: (string | undefined)[] = [];
  const status = openStatus(
    'worker',
    systemClock,
    ({ obstacle }) => sent.push(obstacle?.code),
    () => {},
  );
  status.progress(training);
  status.heldUp(slow);
  status.progress(training);
  status.heldUp(null);
  status.heldUp(null);
  assert.deepEqual(sent, [undefined, 'too-slow', 'too-slow', undefined]);
});

test('the owner hears of obstacles only once the peer is here, and its own goes before the run’s', () => {
  const told: (string | undefined)[] = [];
  const status = openStatus(
    'worker',
    systemClock,
    () => {},
    (news) => {
      if (news.type === 'obstacle') told.push(news.obstacle?.code);
    },
  );
  status.saw(exampleView({ phase: 'paused' }));
  status.tellObstacle();
  assert.deepEqual(told, []);
  status.present(true);
  status.tellObstacle();
  status.heldUp(slow);
  status.heldUp(null);
  status.saw(null);
  status.tellObstacle();
  assert.deepEqual(told, ['run-paused', 'too-slow', 'run-paused', undefined]);
});

test('a pause goes to the hub at once, with its reason where that is shared, and what is said meanwhile does not', () => {
  const sent: string[] = [];
  const status = openStatus(
    'worker',
    systemClock,
    ({ state, obstacle }) => sent.push(obstacle ? `${state}: ${obstacle.code}` : state),
    () => {},
  );
  status.paused(null);
  status.progress(training);
  status.heldUp(slow);
  status.paused({ why: null });
  status.progress({ ...training, state: 'sending' });
  status.paused({ why: { code: 'in-use', message: 'its owner uses it' } });
  status.paused(null);
  assert.deepEqual(sent, ['working', 'working: too-slow', 'paused', 'paused: in-use', 'sending: too-slow']);
});
