// A device of several pools: a pool that takes no more holds the device up, and one that is gone is forgotten, with its leases alone.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FromServingPeer, Offer } from '../../protocol/serving-from-peer.ts';
import type { ToServingPeer } from '../../protocol/serving-messages.ts';
import { modelKey } from '../serving/devices.ts';
import { type PoolPort, SharedDevices } from './shared-devices.ts';

const OFFER: Offer = {
  ...{ type: 'offer', model: 'ab'.repeat(32), quantisation: 'f32', engine: 'own', class: 'own cpu' },
  ...{ context_tokens: 4096, free_tokens: 4096, places: 4, chat: false, tools: false, heard: 0 },
  ...{ price_in: 0, price_out: 0, region: null },
};
const [LEASE, OTHER] = ['1', '2'].map((digit) => digit.repeat(16));
const asks = { begins: LEASE, asks: modelKey(OFFER) };
const taken = (lease: string): FromServingPeer => ({ type: 'answer-taken', lease });

function port(room: () => Promise<void> = async () => {}) {
  const heard: FromServingPeer[] = [];
  const of: PoolPort = { hear: (_, message) => void heard.push(message), gone() {}, room };
  return { of, heard, offers: () => heard.flatMap((one) => (one.type === 'offer' ? [[one.heard, one.places]] : [])) };
}
function setUp() {
  const devices = new SharedDevices();
  const told: ToServingPeer[] = [];
  const connection = {
    number: '7',
    peer: 'a'.repeat(64),
    tell: (one: ToServingPeer) => void told.push(one),
    send() {},
  };
  const say = (message: FromServingPeer) => devices.hear(connection, message, assert.fail);
  return { devices, told, connection, say };
}

test('what a device says waits until its pool has room, and goes nowhere where the pool is gone meanwhile', async () => {
  for (const stays of [true, false]) {
    const { devices, say } = setUp();
    const { promise, resolve } = Promise.withResolvers<void>();
    const full = port(() => promise);
    devices.add(full.of);
    await say(OFFER);
    devices.tell(full.of, '7', asks, () => {});
    const saying = say(taken(LEASE));
    await new Promise(setImmediate);
    assert.equal(full.heard.length, 1, 'only the offer');
    if (!stays) devices.remove(full.of);
    resolve();
    await saying;
    assert.equal(full.heard.length, stays ? 2 : 1);
  }
});

test('each pool has its own count of requests, and knows that places are taken by others', async () => {
  const { devices, say } = setUp();
  const [one, two] = [port(), port()];
  for (const { of } of [one, two]) devices.add(of);
  await say(OFFER);
  devices.tell(one.of, '7', asks, () => {});
  devices.tell(two.of, '7', { ...asks, begins: OTHER }, () => {});
  devices.tell(one.of, '7', { begins: '3'.repeat(16), asks: null }, () => {}); // a judge's is not counted
  assert.deepEqual(
    [one.offers(), two.offers()],
    [
      [
        [0, 4],
        [0, 3],
      ],
      [
        [0, 4],
        [0, 3],
      ],
    ],
  );
  await say({ ...OFFER, heard: 1, places: 3 });
  assert.deepEqual(
    [one.offers().at(-1), two.offers().at(-1)],
    [
      [1, 2],
      [0, 3],
    ],
  );
  await say({ ...OFFER, heard: 2, places: 2 });
  assert.deepEqual(
    [one.offers().at(-1), two.offers().at(-1)],
    [
      [1, 2],
      [1, 2],
    ],
  );
  await assert.rejects(say({ ...OFFER, heard: 3 }), { code: 'malformed' });
});

test('where a pool is gone the device stops what it does for it, and nothing else; what it still says of it does no harm, for a while', async () => {
  const { devices, told, say } = setUp();
  const [one, two] = [port(), port()];
  for (const { of } of [one, two]) devices.add(of);
  await say(OFFER);
  devices.tell(one.of, '7', asks, () => {});
  devices.tell(two.of, '7', { ...asks, begins: OTHER }, () => {});
  devices.tell(one.of, '7', { ...asks, begins: '3'.repeat(16) }, () => {});
  await say({ type: 'answer-failed', lease: '3'.repeat(16), code: 'no-room', message: '' });
  devices.remove(one.of);
  assert.deepEqual(told, [{ type: 'answer-stop', lease: LEASE, why: 'gateway-gone' }], 'not what has ended');
  await say(taken(OTHER));
  assert.deepEqual(two.heard.at(-1), taken(OTHER));
  for (let n = 0; n < 64; n++) await say(taken(LEASE));
  await assert.rejects(say(taken(LEASE)), { code: 'malformed' });
  await assert.rejects(say(taken('4'.repeat(16))), { code: 'malformed' });
});
