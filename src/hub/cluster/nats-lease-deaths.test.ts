// A lease in NATS goes to another when its holder dies or stands still, and outlives the death of a server.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, test } from 'node:test';
import { sleep, systemClock } from '../../protocol/clock.ts';
import { LEASE_MS, type Lease } from './lease.ts';
import { type NatsBus, openNatsBus } from './nats-bus.ts';
import { openNatsLease } from './nats-lease.ts';
import { NATS_SKIPPED, type NatsOptions, type NatsServers, startNats } from './testing/nats-server.ts';

const NEVER = new AbortController().signal;
const options = { skip: NATS_SKIPPED, timeout: 60_000 };

/** Servers, and what is connected to them. */
async function withNats(
  config: NatsOptions,
  use: (nats: NatsServers, open: Open, over: AbortSignal) => Promise<void>,
): Promise<void> {
  const nats = await startNats({ jetstream: true, ...config });
  const buses: NatsBus[] = [];
  const over = new AbortController();
  const open: Open = async () => {
    const bus = await openNatsBus({ servers: nats.urls, name: 'test', onError: () => {} });
    buses.push(bus);
    return { bus, lease: await openNatsLease({ bus, name: 'seq.log' }) };
  };
  try {
    await use(nats, open, over.signal);
  } finally {
    over.abort();
    await Promise.all(buses.map((bus) => bus.close()));
    await nats.close();
  }
}
type Open = () => Promise<{ readonly bus: NatsBus; readonly lease: Lease }>;

/** A process that holds the lease, and what it says next. */
async function holderProcess(nats: NatsServers): Promise<{ readonly child: ChildProcess; next(): Promise<string> }> {
  const program = join(import.meta.dirname, 'testing', 'lease-holder.ts');
  const child = spawn(process.execPath, [program, nats.urls[0], 'seq.log', 'the child'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  const next = async (): Promise<string> => String((await lines.next()).value);
  assert.equal(await next(), 'held');
  return { child, next };
}

describe('a lease in NATS', { concurrency: true }, () => {
  test('goes to another when the process that holds it is killed', options, () =>
    withNats({}, async (nats, open) => {
      const { child } = await holderProcess(nats);
      const { lease } = await open();
      assert.equal(await lease.holder(), 'the child');
      const waiting = lease.hold('another', NEVER);
      const from_ms = systemClock.elapsed_ms();
      child.kill('SIGKILL');
      const held = await waiting;
      const took_ms = systemClock.elapsed_ms() - from_ms;
      assert.ok(took_ms < LEASE_MS + 2500, `${took_ms} ms`);
      await held.release();
    }),
  );

  test('goes to another when it stands still, and it hears so when it goes on', options, () =>
    withNats({}, async (nats, open) => {
      const { child, next } = await holderProcess(nats);
      try {
        const { lease } = await open();
        child.kill('SIGSTOP');
        const held = await lease.hold('another', NEVER);
        child.kill('SIGCONT');
        assert.match(await next(), /^lost .* another has it$/);
        assert.equal(held.lost.aborted, false);
        await held.release();
      } finally {
        child.kill('SIGKILL');
      }
    }),
  );

  for (const [name, servers] of [
    ['the only server was killed and came back', 1],
    ['one of three servers was killed', 3],
  ] as const) {
    test(
      `stays where it is when ${name}, or on a machine too busy to renew it in time goes to the other, and both know`,
      options,
      () =>
        withNats({ servers }, async (nats, open, over) => {
          const [one, other] = await Promise.all([open(), open()]);
          const held = await one.lease.hold('one', NEVER);
          const waiting = other.lease.hold('other', over);
          let taken = false;
          waiting.then(
            () => {
              taken = true;
            },
            () => {},
          );
          const killed = servers === 1 ? 0 : await leaderOf(one.bus);
          await nats.kill(killed);
          await sleep(systemClock, LEASE_MS); // so that it is forgotten meanwhile
          if (servers === 1) await nats.restart(killed);
          const until_ms = systemClock.elapsed_ms() + 20_000;
          const holderNow = (): Promise<string | null> => other.lease.holder().catch(() => null);
          for (let holder = await holderNow(); holder === null; holder = await holderNow()) {
            assert.ok(systemClock.elapsed_ms() < until_ms, 'nobody holds it');
            await sleep(systemClock, 50);
          }
          await sleep(systemClock, LEASE_MS / 2);
          const holder = await other.lease.holder();
          if (taken) {
            while (!held.lost.aborted) {
              assert.ok(systemClock.elapsed_ms() < until_ms, 'the first does not know that it has lost it');
              await sleep(systemClock, 50);
            }
          } else assert.deepEqual([holder, held.lost.aborted], ['one', false]);
          await held.release();
          await (await waiting).release();
        }),
    );
  }
});

/** The number of the server that leads the bucket. */
async function leaderOf({ connection }: NatsBus): Promise<number> {
  const { cluster } = (await connection.request('$JS.API.STREAM.INFO.KV_potluck-leases', '{}')).json<{
    cluster: { leader: string; replicas: unknown[] };
  }>();
  assert.equal(cluster.replicas.length, 2, 'it has three replicas');
  return Number(cluster.leader.slice(1));
}
