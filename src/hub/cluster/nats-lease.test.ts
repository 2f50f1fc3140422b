// The lease in NATS is a Lease; where NATS keeps none, it says so in one line.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sleep, systemClock } from '../../protocol/clock.ts';
import type { HubError } from '../errors.ts';
import type { Lease } from './lease.ts';
import { type NatsBus, openNatsBus } from './nats-bus.ts';
import { openNatsLease } from './nats-lease.ts';
import { leaseCompliance } from './testing/lease-compliance.ts';
import { NATS_SKIPPED, type NatsOptions, startNats } from './testing/nats-server.ts';

const options = { skip: NATS_SKIPPED, timeout: 60_000 };

leaseCompliance(
  'in NATS',
  async () => {
    const nats = await startNats({ jetstream: true });
    const buses = new Map<Lease, NatsBus>();
    return {
      clock: systemClock,
      async open() {
        const bus = await openNatsBus({ servers: nats.urls, name: 'test', onError: () => {} });
        const lease = await openNatsLease({ bus, name: 'seq.log' });
        buses.set(lease, bus);
        return lease;
      },
      cut: (lease) => buses.get(lease)!.close(),
      settle: (promise) => promise,
      pass: (duration_ms) => sleep(systemClock, duration_ms),
      async close() {
        await Promise.all([...buses.values()].map((bus) => bus.close()));
        await nats.close();
      },
    };
  },
  NATS_SKIPPED,
);

async function refused(config: NatsOptions): Promise<HubError> {
  const nats = await startNats(config);
  const bus = await openNatsBus({ servers: nats.urls, name: 'test', user: 'hub', password: 'x', onError: () => {} });
  try {
    await openNatsLease({ bus, name: 'seq.log' });
    throw new Error('it was opened');
  } catch (error) {
    return error as HubError;
  } finally {
    await bus.close();
    await nats.close();
  }
}

test('NATS without JetStream keeps no lease, which is said in one line', options, async () => {
  const { code, message } = await refused({});
  assert.deepEqual(
    [code, message],
    ['no-bus', 'the lease: expected NATS with JetStream, it has none, or allows no access to it'],
  );
});

test('a user that may not ask JetStream reads the same', options, async () => {
  const config = 'authorization { users: [ { user: hub, password: x, permissions: { publish: { deny: "$JS.>" } } } ] }';
  const { code, message } = await refused({ jetstream: true, config });
  assert.equal(code, 'no-bus');
  assert.match(message, /^the lease: expected NATS with JetStream, it /);
});
