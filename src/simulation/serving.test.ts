// Serving under liars: each way to serve something else than was asked earns next to nothing, and honest work is not refused.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { createNativeRuntime } from '../tensor/native-runtime.ts';
import { adversaryNamed } from './adversaries/registry.ts';
import { playArena } from './arena.ts';
import { ARENA_RULES, crowdOf } from './play-job.ts';
import { setUpGame } from './play-setup.ts';
import { rememberingRuntime } from './remembering-runtime.ts';

const LIARS = ['coarse-weights', 'short-context', 'top-p-ignored', 'padder', 'cacher'];
const HONEST = 2;
/** A lie is paid at most this part of what honest service is. */
const MOST_PAY = 0.05;

const native = await createNativeRuntime({ threads: 1 });
after(() => native.close());

test('each liar earns next to nothing beside honest devices, none of whose answers is refused', async () => {
  // Judges repeat what workers have computed already: it is remembered, as `potluck play` does it.
  const runtime = rememberingRuntime(native);
  const setup = await setUpGame('serve', {}, {}, runtime);
  const crowd = { workers: HONEST + LIARS.length, validators: 2, share: LIARS.length / (HONEST + LIARS.length) };
  const { devices, honest } = await playArena({
    ...setup,
    devices: crowdOf(crowd, LIARS.map(adversaryNamed), () => runtime),
    ...{ rounds: 2, seed: 'serving', rules: ARENA_RULES, plant_every: 0, ends_when_broken: false },
  });
  assert.deepEqual(devices.map(({ problem }) => problem).filter(Boolean), []);
  assert.deepEqual([honest.refused, honest.judged > 0], [0, true]);
  const workers = devices.filter(({ role }) => role === 'worker');
  const fair = Math.min(...workers.filter(({ adversary }) => adversary === null).map(({ shares }) => shares));
  assert.ok(fair > 0);
  for (const { adversary, shares, fates, submitted } of workers.filter((one) => one.adversary !== null)) {
    assert.ok(submitted > 0, `${adversary} handed nothing in`);
    if (adversary === 'cacher') continue; // in its first rounds it is honest
    assert.ok(shares <= MOST_PAY * fair, `${adversary}: ${shares} of ${fair} (${JSON.stringify(fates)})`);
  }
});

test('settings that the game does not take are named', async () => {
  const bad = { code: 'bad-params', message: /^serve params: answers: / };
  await assert.rejects(setUpGame('serve', { answers: 0 }, {}, native), bad);
});
