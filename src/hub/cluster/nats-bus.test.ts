// The bus on real NATS servers is a Bus; what a server refuses, or is not, is said in one line.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HubError } from '../errors.ts';
import { type Bus, MAX_BUS_BYTES, MAX_QUEUED_BYTES } from './bus.ts';
import { type NatsBusOptions, openNatsBus } from './nats-bus.ts';
import { busCompliance } from './testing/bus-compliance.ts';
import { NATS_SKIPPED, type NatsOptions, startNats } from './testing/nats-server.ts';

const ignore = (): void => {};
const soon = (): Promise<unknown> => new Promise((resolve) => setTimeout(resolve, 5));

busCompliance(
  'NATS',
  async () => {
    const nats = await startNats();
    const buses: Bus[] = [];
    return {
      async open(onError = ignore) {
        const bus = await openNatsBus({ servers: nats.urls, name: 'test', onError });
        buses.push(bus);
        return bus;
      },
      settle: (promise) => promise,
      pass: soon,
      kill: () => nats.kill(0),
      restart: () => nats.restart(0),
      async close() {
        await Promise.all(buses.map((bus) => bus.close()));
        await nats.close();
      },
    };
  },
  NATS_SKIPPED,
);

/** What an attempt to connect is refused with. */
async function refused(config: NatsOptions, options: Partial<NatsBusOptions>): Promise<HubError> {
  const nats = await startNats(config);
  try {
    const bus = await openNatsBus({ servers: nats.urls, name: 'test', onError: ignore, ...options });
    await bus.close();
    throw new Error('it was let in');
  } catch (error) {
    return error as HubError;
  } finally {
    await nats.close();
  }
}
const USERS = 'authorization { user: hub, password: secret }';

test('NATS: who has no credentials, or wrong ones, reads so in one line', { skip: NATS_SKIPPED }, async () => {
  for (const credentials of [{}, { user: 'hub', password: 'wrong' }]) {
    const { code, message } = await refused({ config: USERS }, credentials);
    assert.equal(code, 'bus-refused');
    assert.match(message, /^NATS at nats:\/\/127.0.0.1:\d+: expected to be let in with NATS_USER and .*, got "/);
    assert.ok(!message.includes('\n') && !message.includes('wrong'), message);
  }
});

test('NATS: with the right ones it is let in', { skip: NATS_SKIPPED }, async () => {
  const { message } = await refused({ config: USERS }, { user: 'hub', password: 'secret' });
  assert.equal(message, 'it was let in');
});

test('NATS: with an nkey, too', { skip: NATS_SKIPPED }, async () => {
  const { createUser } = await import('@nats-io/nkeys');
  const [right, wrong] = [createUser(), createUser()];
  const seedOf = (pair: typeof right): string => new TextDecoder().decode(pair.getSeed());
  const config = `authorization { users: [ { nkey: ${right.getPublicKey()} } ] }`;
  assert.equal((await refused({ config }, { nkey_seed: seedOf(right) })).message, 'it was let in');
  assert.equal((await refused({ config }, { nkey_seed: seedOf(wrong) })).code, 'bus-refused');
});

test('NATS: a server that allows only small messages is refused', { skip: NATS_SKIPPED }, async () => {
  const { code, message } = await refused({ config: 'max_payload: 65536' }, {});
  assert.equal(code, 'no-bus');
  assert.match(message, /expected messages of 1048576 bytes to be allowed, got max_payload 65536$/);
});

test('NATS: nobody, somebody else, and a server without TLS are told apart', { skip: NATS_SKIPPED }, async () => {
  const nobody = await refused({}, { servers: ['nats://127.0.0.1:1'] });
  assert.equal(nobody.code, 'no-bus');
  assert.match(
    nobody.message,
    /^NATS at nats:\/\/127.0.0.1:1: expected a server that answers, got "connection refused"/,
  );
  const plain = await refused({}, { ca: '' });
  assert.match(plain.message, /got "server does not support 'tls'"/);
});

test('NATS: one of several servers is enough, and another takes over', {
  skip: NATS_SKIPPED,
  timeout: 20_000,
}, async (t) => {
  const nats = await startNats({ servers: 3 });
  const servers = ['nats://127.0.0.1:1', ...nats.urls];
  const buses = await Promise.all(
    Array.from({ length: 6 }, () => openNatsBus({ servers, name: 'test', onError: ignore })),
  );
  const heard = buses.map(() => 0);
  buses.forEach((bus, i) => {
    bus.subscribe('a', () => heard[i]++);
  });
  await nats.kill(1);
  const all = (): boolean => heard.every((count) => count > 0);
  for (; !all(); await soon()) {
    t.signal.throwIfAborted();
    if (buses.every(({ connected }) => connected)) buses[0].publish('a', new Uint8Array(1));
  }
  await Promise.all(buses.map((bus) => bus.close()));
  await nats.close();
});

test('NATS: what waits for a server that stands still is bounded', {
  skip: NATS_SKIPPED,
  timeout: 20_000,
}, async (t) => {
  const nats = await startNats();
  const bus = await openNatsBus({ servers: nats.urls, name: 'test', onError: ignore });
  nats.freeze(0);
  const bytes = new Uint8Array(MAX_BUS_BYTES);
  for (let i = 0; i < 2 * (MAX_QUEUED_BYTES / MAX_BUS_BYTES); i++) bus.publish('a', bytes);
  assert.equal(bus.queued_bytes, MAX_QUEUED_BYTES);
  const started = performance.now();
  for (; bus.connected; await soon()) t.signal.throwIfAborted();
  assert.ok(performance.now() - started < 6000, 'it is noticed in the time of a few pings');
  nats.thaw(0);
  for (; !bus.connected; await soon()) t.signal.throwIfAborted();
  await bus.flushed();
  assert.equal(bus.queued_bytes, 0);
  await bus.close();
  await nats.close();
});
