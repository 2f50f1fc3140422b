// Vectors through the pool: whoever makes what is none, or counts tokens that no text has, is told so; nobody holds a request up for ever.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { packFloats } from '../../protocol/serving-bytes.ts';
import type { FromServingPeer } from '../../protocol/serving-from-peer.ts';
import { ANY_DEVICE } from './caller.ts';
import { EMBED_LIMITS } from './embeds.ts';
import { type FakeDevice, NAME, PoolWorld } from './testing/pool-world.ts';

const TEXTS = ['one', 'two'];
const VECTORS = Float32Array.of(0.6, 0.8, 1, 0);
const never = new AbortController().signal;

function asked() {
  const world = new PoolWorld();
  const [first, second] = [
    world.device({ offer: { embeddings: true } }),
    world.device({ offer: { embeddings: true } }),
  ];
  const made = world.pool.serverFor(ANY_DEVICE).embed({ model: NAME, inputs: TEXTS }, never);
  made.catch(() => {});
  return { world, first, second, made };
}

const leaseOf = ({ heard }: FakeDevice): string | null => heard.findLast((one) => one.type === 'embed')?.lease ?? null;
const packed = packFloats(VECTORS);
const well = (lease: string): FromServingPeer[] => [
  { type: 'answer-taken', lease },
  { type: 'embedded', lease, from: 0, packed },
  { type: 'embed-ended', lease, tokens: 4, width: 2 },
];

test('one device makes the vectors of all texts', async () => {
  const { first, second, made } = asked();
  assert.equal(leaseOf(second), null);
  for (const message of well(leaseOf(first)!)) first.say(message);
  const { vectors, tokens } = await made;
  assert.deepEqual([vectors, tokens], [[VECTORS.slice(0, 2), VECTORS.slice(2)], 4]);
});

const WRONGS: Record<string, (lease: string) => FromServingPeer> = {
  'of 56 at most|counts more tokens than the texts can have': (lease) => ({
    type: 'embed-ended',
    lease,
    tokens: 57,
    width: 2,
  }),
  'expected 2 vectors of 3|has another width': (lease) => ({ type: 'embed-ended', lease, tokens: 4, width: 3 }),
  'numbers from 0|says numbers twice': (lease) => ({ type: 'embedded', lease, from: 0, packed }),
  'finite|says what is no number': (lease) => ({
    ...{ type: 'embedded', lease, from: 4, packed: packFloats(Float32Array.of(Number.NaN)) },
  }),
};
for (const [what, wrong] of Object.entries(WRONGS)) {
  const [told, does] = what.split('|');
  test(`a device that ${does} is told so, and another one begins anew`, async () => {
    const { first, second, made, world } = asked();
    const lease = leaseOf(first)!;
    for (const message of [...well(lease).slice(0, 2), wrong(lease)]) first.say(message);
    assert.match(first.refused.join(), new RegExp(told));
    await world.clock.pass(1);
    for (const message of well(leaseOf(second)!)) second.say(message);
    assert.equal((await made).tokens, 4);
  });
}

test('a device that says again and again that it has a request does not hold it up for ever', async () => {
  const { world, first, second } = asked();
  const lease = leaseOf(first)!;
  const begun_ms = world.clock.elapsed_ms();
  while (leaseOf(second) === null && world.clock.elapsed_ms() < begun_ms + 2 * EMBED_LIMITS.lease_ms) {
    first.say({ type: 'answer-taken', lease });
    await world.clock.pass(30_000);
  }
  assert.notEqual(leaseOf(second), null);
});
