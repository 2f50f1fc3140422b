// What the pool remembers of a device: who is refused by judges is out, for longer each time; a model that is no longer served makes room for the next.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEVICE_LIMITS, modelKey, openDevices, type PoolDevice } from './devices.ts';

const MODEL = 'a'.repeat(64);
const KEY = modelKey({ model: MODEL, quantisation: 'f32' });
const MINUTE_MS = 60_000;

/** One that offers the model; `pass` lets time pass. */
function oneDevice() {
  let now_ms = 0;
  const devices = openDevices(() => now_ms);
  const connection = { number: '1', peer: 'b'.repeat(64), tell: () => {} };
  devices.offer(connection, {
    ...{ type: 'offer', model: MODEL, quantisation: 'f32', engine: 'own', class: 'cpu', context_tokens: 4096 },
    ...{ free_tokens: 1e6, places: 4, chat: false, tools: false, heard: 0, price_in: 0, price_out: 0, region: null },
  });
  const device: PoolDevice = devices.all.get('1')!;
  const pass = (ms: number): void => {
    now_ms += ms;
  };
  return { devices, device, pass };
}

test('what was little by the limits of before finds nobody when narrower ones are published', () => {
  const narrow = { usual_per_draw: 0.0005, sum: 1 };
  const part = (word: string, margin: number) => ({ word, draws: 100, margin });
  for (const wide of [
    { ...narrow, usual_per_draw: 0.0001 },
    { ...narrow, sum: 100 },
  ]) {
    const { devices, device } = oneDevice();
    for (const word of ['a', 'b', 'c'])
      assert.equal(devices.added(device, KEY, part(word, wide.sum === 1 ? 0.2 : 5), wide), false);
    assert.equal(devices.isSuspected(device, KEY, narrow), false);
    assert.equal(devices.added(device, KEY, part('d', 0.06), narrow), false);
    const found = ['a', 'b', 'a', 'b'].map((word) => devices.added(device, KEY, part(word, 5), { ...narrow }));
    assert.deepEqual(found, [false, false, false, true], 'what is too much by the new ones still adds up');
  }
});

test('each refusal lasts twice as long as the last, up to two days, until so many parts were accepted', () => {
  const { devices, device, pass } = oneDevice();
  const places = (): number =>
    devices.known(device, KEY, { prefix: '', region: null, read_tokens: 1, left_tokens: 1 }).places;
  /** For how many minutes it is out. */
  const refuse = (): number => {
    devices.judged(device, KEY, true);
    let minutes = 0;
    for (; places() === 0; minutes++) pass(MINUTE_MS);
    return minutes;
  };
  assert.deepEqual([1, 2, 3, 4].map(refuse), [10, 20, 40, 80]);
  for (let i = 4; i < DEVICE_LIMITS.doublings; i++) refuse();
  assert.deepEqual([refuse(), refuse()], [2560, 2560]);
  for (let i = 1; i < DEVICE_LIMITS.forgiven; i++) devices.judged(device, KEY, false);
  assert.equal(refuse(), 2560, 'one too few');
  for (let i = 0; i < DEVICE_LIMITS.forgiven; i++) devices.judged(device, 'a run of its own f32', false);
  assert.equal(refuse(), 2560, 'what others accept of something else forgives nothing');
  for (let i = 0; i < DEVICE_LIMITS.forgiven; i++) devices.judged(device, KEY, false);
  assert.deepEqual([refuse(), refuse()], [10, 20]);
  devices.judged(device, 'another run f32', true);
  pass(DEVICE_LIMITS.distrusted_ms);
  assert.ok(places() > 0, 'of another run it is the first');
  for (let i = 0; i < DEVICE_LIMITS.forgiven; i++) devices.judged(device, 'another run f32', false);
  assert.equal(refuse(), 40);
  // What is out for days is not back sooner because of something smaller.
  for (let i = 0; i < DEVICE_LIMITS.doublings; i++) devices.judged(device, KEY, true);
  devices.distrust(device);
  pass(DEVICE_LIMITS.distrusted_ms);
  assert.equal(places(), 0);
});

test('a model of which a device takes no answer makes room for the next one, as a run that learns on has many', () => {
  const devices = openDevices(() => 0);
  const connection = { number: '1', peer: 'b'.repeat(64), tell: () => {} };
  const keyOf = (i: number): string => modelKey({ model: i.toString(16).padStart(64, '0'), quantisation: 'f32' });
  const offer = (i: number, places: number) =>
    devices.offer(connection, {
      ...{ type: 'offer', model: i.toString(16).padStart(64, '0'), quantisation: 'f32', engine: 'own', class: 'cpu' },
      ...{ context_tokens: 4096, free_tokens: 1e6, places, chat: false, tools: false, heard: 0 },
      ...{ price_in: 0, price_out: 0, region: null },
    });
  for (let i = 0; i < 3 * DEVICE_LIMITS.offers; i++) {
    if (i > 0) assert.equal(offer(i - 1, 0), null);
    assert.equal(offer(i, 4), null, `model ${i}`);
  }
  const device = devices.all.get('1')!;
  const last = 3 * DEVICE_LIMITS.offers - 1;
  assert.deepEqual(
    [...device.offers.keys()],
    Array.from({ length: DEVICE_LIMITS.offers }, (_, i) => keyOf(last - DEVICE_LIMITS.offers + 1 + i)),
  );
  assert.deepEqual([[...devices.with(keyOf(0))], [...devices.with(keyOf(last))]], [[], [device]]);
  // Those that it takes answers of stay.
  for (const key of device.offers.keys()) assert.equal(offer(Number.parseInt(key.split(' ')[0], 16), 1), null);
  assert.equal(offer(99, 1), 'too-many-models');
  assert.equal(device.offers.size, DEVICE_LIMITS.offers);
});
