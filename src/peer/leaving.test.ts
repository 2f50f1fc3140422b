// A worker whose owner wants the device back: what is done is handed in, and where nothing is done nothing is waited for.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AnyGame, Claim, Device } from '../games/game.ts';
import { memoryDrawer } from '../games/memory-drawer.ts';
import { systemClock } from '../protocol/clock.ts';
import { createIdentity } from '../protocol/identity.ts';
import { exampleView } from '../protocol/testing/example-views.ts';
import type { RoleContext } from './role.ts';
import { workerRole } from './worker.ts';

const HASH = 'a'.repeat(64);
const CLAIM: Claim = { work: Uint8Array.of(1), amount: 4, numbers: { steps: 1, loss_micro: 1 } };

/** A worker at work in a game whose steps the test takes, and what it tells. */
async function workerAtWork(follow = async (): Promise<unknown> => null, drawer = memoryDrawer()) {
  let device: Device | undefined;
  let finish = (_claim: Claim | null): void => {};
  let begun = () => {};
  const performing = new Promise<void>((resolve) => {
    begun = resolve;
  });
  const game = {
    task: () => null,
    perform: (_task: unknown, given: Device) =>
      new Promise<Claim | null>((resolve) => {
        device = given;
        finish = resolve;
        begun();
      }),
  } as unknown as AnyGame;
  const submitted: string[] = [];
  const states: string[] = [];
  const leaving = new AbortController();
  const context = {
    ...{ run: HASH, identity: await createIdentity(), game, params: null, clock: systemClock },
    device: { drawer, progress: async () => {} } as unknown as Device,
    blobs: { handOver: async () => ({ hash: HASH, enclosed: null }) } as unknown as RoleContext['blobs'],
    model: { follow },
    submit: async ({ type }: { type: string }) => {
      submitted.push(type);
      return { event_id: HASH, index: 0 };
    },
    tell: () => {},
    heldUp: () => {},
    progress: ({ state }: { state: string }) => states.push(state),
    sample: () => {},
  } as unknown as RoleContext;
  const view = exampleView({ run: HASH, phase: 'working', model: HASH, remaining_ms: 60_000 });
  const role = workerRole(context);
  const acting = role.act(view, leaving.signal);
  return {
    acting,
    again: () => role.act({ ...view, attempt: view.attempt + 1 }, leaving.signal),
    leaving,
    performing,
    submitted,
    states,
    keep: (bytes: Uint8Array) => device!.drawer.put('kept', bytes),
    step: () => device!.progress({ amount: 4, numbers: { steps: 1 } }),
    finish: (claim: Claim | null) => finish(claim),
  };
}

test('before its first step it leaves at once, and what comes of that step afterwards is not handed in', async () => {
  const worker = await workerAtWork();
  await worker.performing;
  worker.leaving.abort();
  await worker.acting;
  await worker.step();
  worker.finish(CLAIM);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(worker.submitted, []);
});

test('while it catches up it says so, and leaves at once', async () => {
  const worker = await workerAtWork(() => new Promise(() => {}));
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(worker.states, ['catching up']);
  worker.leaving.abort();
  await worker.acting;
  assert.deepEqual(worker.submitted, []);
});

test('after a step it hands in what is done before it leaves', async () => {
  const worker = await workerAtWork();
  await worker.performing;
  await worker.step();
  worker.leaving.abort();
  worker.finish(CLAIM);
  await worker.acting;
  assert.deepEqual(worker.submitted, ['work.submitted']);
});

test('what its game keeps is written while the work is handed in, and waited for before it leaves', async () => {
  const behind = memoryDrawer();
  const disk = Promise.withResolvers<void>();
  const put = (name: string, bytes: Uint8Array) => disk.promise.then(() => behind.put(name, bytes));
  const worker = await workerAtWork(undefined, { ...behind, put });
  await worker.performing;
  await worker.step();
  let waited = true;
  const keeping = worker.keep(Uint8Array.of(7)).then(() => {
    waited = false;
  });
  worker.finish(CLAIM);
  let left = false;
  const leaving = worker.acting.then(() => {
    left = true;
  });
  while (worker.submitted.length === 0) await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual({ waited, left }, { waited: false, left: false });
  disk.resolve();
  await Promise.all([keeping, leaving]);
  assert.deepEqual(await behind.get('kept'), Uint8Array.of(7));
});

test('when a round is tried again with the same model, it does not seem to be sending still', async () => {
  const worker = await workerAtWork();
  await worker.performing;
  await worker.step();
  worker.finish(CLAIM);
  await worker.acting;
  assert.equal(worker.states.at(-1), 'sending');
  const again = worker.again();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(worker.states.at(-1), 'catching up');
  worker.leaving.abort();
  await again;
  worker.finish(null);
});
