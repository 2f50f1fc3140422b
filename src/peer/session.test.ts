// A device that cannot be bound to its owner does not work: nothing is earned for another account. One whose certificate ends is bound anew.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OwnershipError } from '../audit/ownership-errors.ts';
import { decodeEvent } from '../core/codec.ts';
import type { AnyGame, Device } from '../games/game.ts';
import { memoryDrawer } from '../games/memory-drawer.ts';
import type { Channel } from '../protocol/channel.ts';
import { systemClock } from '../protocol/clock.ts';
import { eventId } from '../protocol/envelope.ts';
import { createIdentity } from '../protocol/identity.ts';
import { PeerError } from '../protocol/peer-errors.ts';
import { type SessionOptions, takePart } from './session.ts';
import { hubChannel } from './testing/hub-channel.ts';

const HUB = 'b'.repeat(64);
const RUN = 'f'.repeat(64);

/** A hub that welcomes everybody and refuses each event as a test says. */
function device(bind: SessionOptions['bind'], refusal: (events: string[]) => string, game = {} as AnyGame) {
  const events: string[] = [];
  const dial = (): Channel =>
    hubChannel(HUB, (event, say) => {
      events.push(decodeEvent(event).body.type);
      say({ type: 'refused', event: eventId(event), code: refusal(events), message: 'no' });
    });
  const taking = takePart({
    ...{
      run: RUN,
      run_name: 'a run',
      hub: HUB,
      role: 'worker',
      name: 'a device',
      identity: createIdentity(),
      params: {},
    },
    game,
    device: { runtime: { class: 'native-cpu' }, drawer: memoryDrawer() } as unknown as Device,
    transport: { dial, clock: systemClock, random: () => 0.5 },
    blobs: {
      fetch: async () => new Uint8Array(),
      upload: async () => '',
      handOver: async () => ({ hash: '', enclosed: null }),
      has: async () => false,
      renew() {},
      close() {},
    },
    receipts: { keep: async () => {} },
    signal: new AbortController().signal,
    bind,
  });
  return { events, taking };
}

test('whoever cannot be bound to its owner is told why, and neither joins nor works', async () => {
  for (const error of [
    new OwnershipError('wrong-clock', 'the clock is wrong'),
    new OwnershipError('bound-to-another', 'it earns for somebody else'),
    new PeerError('refused', 'no', { refusal: 'device-revoked' }),
  ]) {
    const bind = async (): Promise<never> => {
      throw error;
    };
    const { events, taking } = device(bind, () => 'no');
    await assert.rejects(taking, error);
    assert.deepEqual(events, []);
  }
});

test('a certificate that ends while the device takes part is made anew, and the event is sent again', async () => {
  let bound = 0;
  const bind = async (): Promise<void> => void bound++;
  const { events, taking } = device(bind, (sent) => (sent.length === 1 ? 'device-expired' : 'unknown-run'));
  await assert.rejects(taking, { code: 'refused' });
  assert.deepEqual(events.slice(0, 2), ['peer.joined', 'peer.joined']);
  assert.equal(bound, 2, 'at the beginning, and when the certificate had ended');
});

test('what a device was sending when it left has failed', async () => {
  const failed = Promise.withResolvers<unknown>();
  let channel: Device['channel'];
  const game = {
    needs: ['channel'],
    async prepare(_params: unknown, device: Device) {
      channel = device.channel;
    },
  } as unknown as AnyGame;
  // It is connected by then. Its partner never answers.
  const bind = async (): Promise<void> => void channel!.send('a'.repeat(64), new Uint8Array(1)).catch(failed.resolve);
  await assert.rejects(device(bind, () => 'unknown-run', game).taking, { code: 'refused' });
  assert.match(String(await failed.promise), /connection to the hub is lost/);
});
