// A validator's samples: told once per model, cut to what the wire takes, given up for judging, and a small part of the time.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GameError } from '../games/errors.ts';
import type { AnyGame, Written } from '../games/game.ts';
import type { Clock } from '../protocol/clock.ts';
import { FromPeerSchema } from '../protocol/from-peer.ts';
import type { Sample } from '../protocol/messages.ts';
import { exampleView } from '../protocol/testing/example-views.ts';
import type { PeerNews, RoleContext } from './role.ts';
import { openSampler } from './sampler.ts';

const ME = 'b'.repeat(64);

/** A context whose game writes as the test says, on a clock that only the test moves. */
function seated(sample: (signal: AbortSignal) => Promise<Written | null>) {
  const told: Omit<Sample, 'type'>[] = [];
  const news: PeerNews[] = [];
  const timers = new Set<() => void>();
  const time = { now_ms: 0 };
  const clock = {
    elapsed_ms: () => time.now_ms,
    setTimeout: (ring: () => void) => {
      timers.add(ring);
      return ring;
    },
    clearTimeout: (ring: () => void) => timers.delete(ring),
  } as unknown as Clock;
  const context = {
    ...{ clock, identity: { id: ME }, params: {}, device: {} },
    game: { sample: (_p: unknown, _s: unknown, _d: unknown, signal: AbortSignal) => sample(signal) } as AnyGame,
    sample: (message: Omit<Sample, 'type'>) => told.push(message),
    tell: (one: PeerNews) => news.push(one),
  } as unknown as RoleContext;
  return { sampler: openSampler(context), told, news, time, timers };
}

const view = exampleView();
const untilAborted = (signal: AbortSignal, text: string): Promise<Written> =>
  new Promise((resolve) => signal.addEventListener('abort', () => resolve({ prompt: '', text })));

test('what it writes is told under the model that wrote it, as long as the wire allows', async () => {
  const { sampler, told } = seated(async () => ({ prompt: `${'x'.repeat(399)}😀`, text: '😀'.repeat(5000) }));
  await sampler.write(view, null);
  assert.equal(told[0].model, view.model);
  assert.equal(FromPeerSchema.safeParse({ type: 'sample', ...told[0] }).success, true);
  assert.ok(told[0].prompt.isWellFormed());
});

test('it is given up when its time is over, and when there is work to judge; what is written is told', async () => {
  const { sampler, told, timers, time } = seated((signal) => untilAborted(signal, 'half a'));
  const late = sampler.write(view, null);
  for (const ring of timers) ring();
  await late;
  time.now_ms += 1_000_000;
  const interrupted = sampler.write(view, null);
  const due = { judges: [ME], sealed: [] } as unknown as (typeof view.submissions)[number];
  sampler.onView({ ...view, submissions: [{ ...due, judges: ['c'.repeat(64)] }] }); // not for this one
  sampler.onView({ ...view, submissions: [due] });
  await interrupted;
  assert.deepEqual(
    told.map(({ text }) => text),
    ['half a', 'half a'],
  );
  assert.equal(timers.size, 0);
});

test('it takes a twentieth of the time at most, but the last model always writes', async () => {
  const { sampler, told, time } = seated(async () => {
    time.now_ms += 100;
    return { prompt: '', text: 'again' };
  });
  await sampler.write(view, null);
  time.now_ms = 1999;
  await sampler.write(view, null);
  assert.equal(told.length, 1);
  await sampler.write({ ...view, phase: 'finished' }, null);
  assert.equal(told.length, 2);
  time.now_ms = 10_000;
  await sampler.write(view, null);
  assert.equal(told.length, 3);
});

test('nothing, no text, and a game that cannot are no sample; a failure is told to the owner', async () => {
  for (const written of [null, { prompt: 'a', text: '' }]) {
    const { sampler, told } = seated(async () => written);
    await sampler.write(view, null);
    assert.deepEqual(told, []);
  }
  const { sampler, told, news } = seated(async () => {
    throw new GameError('game-threw', 'it cannot spell');
  });
  await sampler.write(view, null);
  assert.deepEqual(told, []);
  assert.match(JSON.stringify(news), /no sample of the model: it cannot spell/);
});
