// A device whose owner turns serving on and off while it takes part: when a model is loaded and given back, and what the hub hears of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AnyGame, Device } from '../games/game.ts';
import { systemClock } from '../protocol/clock.ts';
import { createIdentity } from '../protocol/identity.ts';
import { packRequest } from '../protocol/serving-bytes.ts';
import type { FromServingPeer } from '../protocol/serving-from-peer.ts';
import { exampleView } from '../protocol/testing/example-views.ts';
import type { Engine } from '../serving/engine.ts';
import { openTinyEngine, requestOf, TINY_CONTEXT, TINY_HASH, tinyWeights } from '../serving/testing/tiny-model.ts';
import { openServingPart, type ServeOptions, type ServingWish } from './serving-part.ts';
import { openTokenEnergy } from './token-energy.ts';

const FIRST: ServingWish = { places: 0, paused: false, region: null };

/** A device in a run whose model is the tiny one, and what its hub hears. */
function device(more: Partial<ServeOptions> = {}) {
  const sent: FromServingPeer[] = [];
  const opened: { readonly places: number; closed: boolean }[] = [];
  const told: [number, number][] = [];
  let hear: (wish: ServingWish) => void = () => {};
  let stir = (): void => {};
  const open = async (_: unknown, places: number): Promise<Engine> => {
    const engine = await openTinyEngine(tinyWeights('a'), { cache_tokens: places * TINY_CONTEXT });
    const entry = { places, closed: false };
    opened.push(entry);
    return {
      ...engine,
      free_tokens: places * TINY_CONTEXT,
      async close() {
        entry.closed = true;
        stir();
        await engine.close();
      },
    };
  };
  const part = openServingPart({
    identity: createIdentity(),
    serve: {
      ...{ only: false, places: 0, price_in: 0, price_out: 0, region: null, openEngine: open },
      wishes(tell) {
        hear = tell;
        tell(FIRST);
        return () => {};
      },
      onAnswers: (writing, written) => void told.push([writing, written]),
      ...more,
    },
    clock: systemClock,
    game: { name: 'tiny', textModel: async () => ({}) } as unknown as AnyGame,
    params: {},
    device: {} as Device,
    follow: async () => ({}),
    send(message) {
      sent.push(message);
      stir();
    },
    onServes() {},
    onProblem: (code, message) => assert.ok(['nobody-pays', 'unknown-model'].includes(code), message),
  });
  part.welcome();
  part.onView(exampleView({ model: TINY_HASH }));
  const offers = () => sent.flatMap((one) => (one.type === 'offer' ? [one] : []));
  return {
    ...{ part, sent, opened, offers, told },
    want: (change: Partial<ServingWish>) => hear({ ...FIRST, ...change }),
    async until(fits: () => boolean): Promise<void> {
      while (!fits()) {
        await new Promise<void>((resolve) => {
          stir = resolve;
        });
      }
    },
  };
}

test('loads and offers nothing until its owner wants it, waits without giving the model back, and gives it back at the end', async () => {
  const { part, opened, offers, want, until } = device();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([opened, offers()], [[], []]);
  want({ places: 1, region: 'home' });
  await until(() => offers().length > 0);
  const [{ places, region, free_tokens }] = offers();
  assert.deepEqual([places, region, free_tokens], [1, 'home', TINY_CONTEXT]);

  want({ places: 1, paused: true });
  assert.equal(offers().at(-1)!.places, 0);
  want({ places: 1 });
  assert.equal(offers().at(-1)!.places, 1);
  assert.equal(opened.length, 1, 'it was not loaded again');

  want({ places: 2 });
  assert.equal(offers().at(-1)!.places, 0, 'nothing is offered before the larger cache is there');
  await until(() => offers().at(-1)!.places === 2);
  await until(() => opened[0].closed);
  want({});
  assert.equal(offers().at(-1)!.places, 0);
  await until(() => opened[1].closed);
  await part.close();
  assert.deepEqual(
    opened.map(({ places: of }) => of),
    [1, 2],
  );
});

test('hands over what it writes when its owner has had enough, and counts requests on where it begins again', async () => {
  const { part, sent, offers, told, want, until } = device();
  const ask = (lease: string, max_tokens: number): void =>
    part.hear({
      ...{ type: 'answer', lease, model: TINY_HASH, quantisation: 'f32' },
      request: packRequest(requestOf({ max_tokens })),
    });
  want({ places: 1 });
  await until(() => offers().length > 0);
  ask('a'.repeat(16), 80);
  await until(() => sent.some(({ type }) => type === 'answer-tokens'));
  want({});
  const failed = sent.find(({ type }) => type === 'answer-failed');
  assert.equal(failed?.type === 'answer-failed' && failed.code, 'leaving');
  want({ places: 1 });
  await until(() => offers().at(-1)!.places === 1);
  assert.equal(offers().at(-1)!.heard, 1);
  ask('b'.repeat(16), 3);
  await until(() => sent.some(({ type }) => type === 'answer-ended'));
  await part.close();
  assert.deepEqual(told, [
    [1, 0],
    [0, 0],
    [1, 0],
    [0, 1],
  ]);
});

test('asks at each offer what it costs by then, and offers again for nothing where nobody pays it', async () => {
  let price = { input_micro: 1, output_micro: 2 };
  const free = { input_micro: 0, output_micro: 0 };
  const asks = {
    now: () => price,
    unpaid() {
      price = free;
    },
  };
  const { part, offers, want, until } = device({ asks, energy: openTokenEnergy(() => 0) });
  want({ places: 1 });
  await until(() => offers().length > 0);
  price = { input_micro: 3, output_micro: 4 };
  want({ places: 1, paused: true });
  part.hear({ type: 'offer-refused', model: TINY_HASH, code: 'unknown-model', message: 'unknown' });
  part.hear({ type: 'offer-refused', model: TINY_HASH, code: 'nobody-pays', message: 'nobody' });
  assert.deepEqual(
    offers().map(({ price_in, price_out }) => [price_in, price_out]),
    [
      [1, 2],
      [3, 4],
      [0, 0],
    ],
  );
  await part.close();
});
