// A device that achieves nothing is told why: too slow for the rounds, with both times; nobody to work for; nobody who validates.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { AnyGame, Claim, Device } from '../games/game.ts';
import { createIdentity } from '../protocol/identity.ts';
import type { Obstacle, RunView } from '../protocol/messages.ts';
import { exampleView } from '../protocol/testing/example-views.ts';
import type { Runtime } from '../tensor/runtime.ts';
import { obstacleOf, obstacleTeller, roundWatcher } from './obstacles.ts';
import type { RoleContext } from './role.ts';
import { workerRole } from './worker.ts';

describe('what a view says', () => {
  const seats = { workers: 1, workers_needed: 1, validators: 1 };
  const code = (more: Partial<RunView>, role: 'worker' | 'validator' = 'worker') =>
    obstacleOf(exampleView({ seats, ...more }), role)?.code ?? null;

  test('paused, too few workers, no validator, or nothing', () => {
    assert.equal(code({}), null);
    assert.equal(code({ phase: 'paused' }), 'run-paused');
    assert.equal(code({ phase: 'gathering', seats: { ...seats, workers_needed: 3 } }), 'too-few-workers');
    assert.equal(code({ phase: 'gathering', seats: { ...seats, workers: 3, workers_needed: 3 } }), null);
    assert.equal(code({ seats: { ...seats, validators: 0 } }), 'no-validator');
    assert.equal(code({ seats: { ...seats, validators: 0 } }, 'validator'), null);
    assert.equal(code({ phase: 'gathering', seats: { ...seats, validators: 0 } }), null, 'nothing was done yet');
    assert.equal(code({ phase: 'gathering', round: 1, seats: { ...seats, validators: 0 } }), 'no-validator');
    assert.equal(code({ seats: undefined }), null, 'a hub of an older version');
  });

  test('in plain words', () => {
    const few = exampleView({ phase: 'gathering', seats: { ...seats, workers_needed: 3 } });
    assert.equal(obstacleOf(few, 'worker')?.message, 'the next round waits for 3 workers, 1 is here');
  });
});

test('the same obstacle is told twice with other numbers, then after ten minutes; another one at once, its end once', () => {
  let now_ms = 0;
  const told: (string | null)[] = [];
  const tell = obstacleTeller(
    () => now_ms,
    (obstacle) => told.push(obstacle?.message ?? null),
  );
  const slow = (message: string): Obstacle => ({ code: 'too-slow', message });
  tell(null);
  tell(slow('14 s'));
  tell(slow('15 s'));
  tell(slow('15 s'));
  tell(slow('15.5 s'));
  now_ms = 700_000;
  tell(slow('16 s'));
  tell({ code: 'run-paused', message: 'paused' });
  tell(null);
  tell(null);
  assert.deepEqual(told, ['14 s', '15 s', '16 s', 'paused', null]);
});

test('who came late, or whose round somebody else has ended, is not called slow', () => {
  let now_ms = 0;
  const watch = roundWatcher(() => now_ms);
  watch(exampleView({ remaining_ms: 10_000 })).begun();
  const late = watch(exampleView({ remaining_ms: 2000 }));
  late.begun();
  now_ms = 3000;
  assert.equal(late.missed(), null);
  const ended = watch(exampleView({ remaining_ms: 10_000 }));
  ended.begun();
  now_ms = 6000;
  assert.equal(ended.missed(), null);
});

/** A worker on a clock of its own, whose steps and model arrive when the test says so. */
function worker(rested?: () => Promise<void>, away_ms?: () => number) {
  const heldUp: (Obstacle | null)[] = [];
  const step = { done: (_: Claim | null) => {}, report: async () => {} };
  const model = { arrives: () => {} };
  const deadline = { passes: () => {} };
  const clock = {
    now: 0,
    now_ms: () => 0,
    elapsed_ms: () => clock.now,
    setTimeout(run: () => void) {
      deadline.passes = run;
    },
    clearTimeout() {},
  };
  const game = {
    task: () => ({}),
    perform: (_: unknown, device: Device) => {
      step.report = () => device.progress({ amount: 1, numbers: { steps: 1 } });
      return new Promise<Claim | null>((resolve) => {
        step.done = resolve;
      });
    },
  } as unknown as AnyGame;
  const drawer = { get: async () => Uint8Array.of(1), put: async () => {}, delete: async () => {} };
  const fetchBlob = async () => new Uint8Array();
  const device: Device = {
    runtime: {} as Runtime,
    fetchBlob,
    drawer,
    progress: async () => {},
    ...(rested && { rested }),
    ...(away_ms && { away_ms }),
  };
  const context: RoleContext = {
    ...{ run: 'r', identity: createIdentity(), game, params: {}, device, clock },
    blobs: {
      fetch: fetchBlob,
      upload: async () => 'a'.repeat(64),
      handOver: async () => ({ hash: 'a'.repeat(64), enclosed: null }),
      has: async () => false,
      renew() {},
      close() {},
    },
    model: {
      follow: () =>
        new Promise((resolve) => {
          model.arrives = () => resolve({});
        }),
    },
    submit: async () => ({ event_id: 'e', index: 0 }) as never,
    tell() {},
    progress() {},
    heldUp: (obstacle) => void heldUp.push(obstacle),
    sample() {},
  };
  return { role: workerRole(context), heldUp, step, model, clock, deadline };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));
const round = (number: number, more: Partial<RunView> = {}) =>
  exampleView({ round: number, remaining_ms: 6000, ...more });
const never = new AbortController().signal;
const claim: Claim = { work: new Uint8Array(3), amount: 1, numbers: { steps: 1, loss_micro: 1 } };

describe('a worker', () => {
  test('whose first step outlasts the round is told at the end of the round, then how long a step takes', async () => {
    const { role, heldUp, step, model, clock } = worker();
    const acting = role.act(round(0), never);
    model.arrives();
    await settled();
    clock.now = 6500;
    role.onView(round(0, { attempt: 1 }));
    clock.now = 14_000;
    await step.report();
    step.done(claim);
    await acting;
    assert.deepEqual(
      heldUp.map((obstacle) => [obstacle?.code, obstacle?.message]),
      [
        [
          'too-slow',
          'this device is too slow for the rounds of this run: a step takes more than 6.5 s here, a round has 6.0 s',
        ],
        ['too-slow', 'this device is too slow for the rounds of this run: a step takes 14 s here, a round has 6.0 s'],
      ],
    );
  });

  test('whose model does not arrive within a round is told that', async () => {
    const { role, heldUp, clock } = worker();
    void role.act(round(4), never);
    await settled();
    clock.now = 7000;
    role.onView(round(5));
    assert.match(
      heldUp[0]!.message,
      /round 4 went by while its model was fetched .*: 7\.0 s so far, a round has 6\.0 s/,
    );
  });

  test('whose round was paused, or who has handed in, is told nothing', async () => {
    const { role, heldUp, step, model, clock } = worker();
    const acting = role.act(round(0), never);
    model.arrives();
    await settled();
    clock.now = 6500;
    role.onView(round(0, { phase: 'paused', attempt: 1 }));
    step.done(null);
    await acting;
    assert.deepEqual(heldUp, []);
    const again = role.act(round(1), never);
    model.arrives();
    await settled();
    await step.report();
    step.done(claim);
    await again;
    assert.deepEqual(heldUp, [null]);
  });

  test('whose training leaves the finite numbers is told that it came to nothing', async () => {
    const { role, heldUp, step, model } = worker();
    const acting = role.act(round(0), never);
    model.arrives();
    await settled();
    step.done(null);
    await acting;
    assert.equal(heldUp[0]?.code, 'came-to-nothing');
  });

  test('who rests through a round, as its owner wants, is not called slow', async () => {
    let step = () => {};
    const rests = new Promise<void>((resolve) => {
      step = resolve;
    });
    const { role, heldUp, model, clock, deadline } = worker(() => rests);
    const acting = role.act(round(0), never);
    model.arrives();
    await settled();
    clock.now = 5000;
    deadline.passes();
    await acting;
    step();
    assert.deepEqual(
      heldUp.map((obstacle) => obstacle?.code),
      ['resting'],
    );
  });

  test('whose owner’s rules kept it from working for most of the round is not called slow', async () => {
    const said = async (away_ms: number): Promise<unknown[]> => {
      let away = 0;
      const { role, heldUp, step, model, clock } = worker(undefined, () => away);
      const acting = role.act(round(0), never);
      model.arrives();
      await settled();
      clock.now = 6500;
      away = away_ms;
      role.onView(round(0, { attempt: 1 }));
      step.done(null);
      await acting;
      return heldUp.map((obstacle) => obstacle?.code);
    };
    assert.deepEqual(await said(0), ['too-slow', 'too-slow']);
    assert.deepEqual(await said(4000), []);
  });
});
