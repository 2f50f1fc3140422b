// GGUF files in the pool: a name that is the hash, one model for all devices that have it, and a list of bounded length.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ToServingPeer } from '../../protocol/serving-messages.ts';
import { ANY_DEVICE } from './caller.ts';
import { DEVICE_LIMITS } from './devices.ts';
import { ask, type Habits, NAME, PoolWorld, wholeText } from './testing/pool-world.ts';

describe('files that no run has made', () => {
  const HASH = 'c'.repeat(64);
  const file = { label: NAME, licence: 'MIT', weights: 'q8_0' };
  const offering = (more: object = {}) => ({ offer: { model: HASH, quantisation: 'gguf', file, ...more } }) as const;

  test('are asked for by their hash, also where a device says other things of the same file', async () => {
    const world = new PoolWorld();
    world.device(offering());
    world.device(offering({ file: { label: 'x', licence: 'BSD', weights: 'f32' } }));
    assert.deepEqual(
      world.pool
        .serverFor(ANY_DEVICE)
        .models()
        .map(({ name }) => name),
      [`gguf:${HASH}`],
    );
    const { text } = await world.clock.run(world.read(ask({ model: `gguf:${HASH}` })));
    assert.equal(text, wholeText(ask()));
    await world.clock.pass(1000);
    assert.deepEqual(world.judgings, ['accepted']);
    assert.equal(world.decisions.size, 0, 'what the owners of a file accept of each other is no record');
    await assert.rejects(world.read(ask()), { code: 'unknown-model' }, "the label is not the run's name");
  });

  test('have weights as the file has them, and no other offer has', () => {
    const world = new PoolWorld();
    const said = (offer: object) => world.device({ offer } as Partial<Habits>).refused;
    assert.match(said({ quantisation: 'gguf' })[0], /expected the quantisation gguf of a file/);
    assert.match(said({ model: HASH, quantisation: 'q8_0', file })[0], /expected the quantisation gguf of a file/);
    assert.deepEqual(world.pool.serverFor(ANY_DEVICE).models(), []);
  });

  test('are not more than fit into a list, and those that nobody offers any more give their places back', () => {
    const world = new PoolWorld();
    const hashOf = (i: number): string => i.toString(16).padStart(64, '0');
    const devices = Array.from({ length: DEVICE_LIMITS.files }, (_, i) => world.device(offering({ model: hashOf(i) })));
    const refusalOf = (device: { heard: ToServingPeer[] }) =>
      device.heard.flatMap((one) => (one.type === 'offer-refused' ? [one.code] : []));
    assert.deepEqual(refusalOf(world.device(offering())), ['too-many-files']);
    assert.deepEqual(refusalOf(world.device(offering({ model: hashOf(0) }))), [], 'it is there already');
    devices[1].die();
    assert.deepEqual(refusalOf(world.device(offering())), []);
    assert.equal(world.pool.serverFor(ANY_DEVICE).models().length, DEVICE_LIMITS.files);
  });
});
