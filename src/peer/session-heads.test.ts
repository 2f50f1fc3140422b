// A session keeps what it saw of the log: an event that the log has had for long accuses nobody, a hub that comes back with another log is left.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openHeads, seenHeadOf } from '../audit/seen-heads.ts';
import { decodeEvent } from '../core/codec.ts';
import type { AnyGame, Device } from '../games/game.ts';
import { memoryDrawer } from '../games/memory-drawer.ts';
import { createMemoryLogStore } from '../ledger/testing/memory-log.ts';
import { openTransparencyLog, type TransparencyLog } from '../ledger/transparency-log.ts';
import type { Channel } from '../protocol/channel.ts';
import { systemClock } from '../protocol/clock.ts';
import { eventId, signEvent } from '../protocol/envelope.ts';
import { createIdentity } from '../protocol/identity.ts';
import { takePart } from './session.ts';
import { hubChannel } from './testing/hub-channel.ts';

const RUN = 'f'.repeat(64);
const hub = createIdentity();
const device = createIdentity();
const newLog = (): TransparencyLog => openTransparencyLog(createMemoryLogStore(), hub);

/** A hub's end of a channel: puts every event into its log, once, and answers with its receipt. */
const dial = (log: TransparencyLog, onEvent: (event: Uint8Array) => void): Channel =>
  hubChannel(hub.id, async (event, say) => {
    const known = log.read(0, log.size).findIndex((entry) => eventId(entry) === eventId(event));
    const index = known === -1 ? await log.append([event]) : known;
    say({ type: 'accepted', event: eventId(event), receipt: await log.receipt(index) });
    onEvent(event);
  });

const drawer = memoryDrawer();

/** Binds the device with the same words each time, joins, and leaves when it has; resolves with what it handed in. */
async function visit(log: TransparencyLog): Promise<ReturnType<typeof decodeEvent>[]> {
  const leaving = new AbortController();
  const events: ReturnType<typeof decodeEvent>[] = [];
  const heads = await openHeads({
    ...{ hub: hub.id, drawer, clock: systemClock },
    log: async () => ({ hub: hub.id, head: await log.checkpoint(), tile: async (...place) => log.tile(...place) }),
  });
  await takePart({
    ...{ run: RUN, run_name: 'a run', hub: hub.id, role: 'worker', name: 'a device', identity: device, params: {} },
    game: {} as AnyGame,
    device: { runtime: { class: 'native-cpu' }, drawer: memoryDrawer() } as unknown as Device,
    transport: {
      clock: systemClock,
      random: () => 0.5,
      dial: () =>
        dial(log, (event) => {
          events.push(decodeEvent(event));
          if (events.at(-1)?.body.type === 'peer.joined') setTimeout(() => leaving.abort(), 20);
        }),
    },
    blobs: {
      fetch: async () => new Uint8Array(),
      upload: async () => '',
      handOver: async () => ({ hash: '', enclosed: null }),
      has: async () => false,
      renew() {},
      close() {},
    },
    receipts: { keep: async () => {} },
    heads,
    bind: (submit) => submit({ type: 'device.bound', version: 1, certificate: Uint8Array.of(1) }),
    signal: leaving.signal,
  });
  return events;
}

const joinOf = (events: ReturnType<typeof decodeEvent>[]) =>
  events.find(({ body }) => body.type === 'peer.joined')!.body;

test('a device that comes back hands in old words again and names what it saw; to a hub with another log it does not stay', async () => {
  const log = newLog();
  assert.equal(seenHeadOf(joinOf(await visit(log)))?.size, 1, 'the binding before it was its first word');
  await log.append([await signEvent(hub, { type: 'tick', version: 1, time_ms: 1 })]);
  const second = await visit(log);
  assert.ok(seenHeadOf(joinOf(second))!.size >= 3, 'what it saw when it was here before');
  const fork = newLog();
  await fork.append([await signEvent(hub, { type: 'tick', version: 1, time_ms: 9 })]);
  await fork.append(log.read(1, log.size));
  await assert.rejects(visit(fork), { code: 'log-rewritten' });
  await assert.rejects(visit(log), { code: 'log-rewritten' }, 'nor does it come back');
});
