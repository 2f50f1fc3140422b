// The lease in memory is a Lease; and what every lease does when its keeper is silent for long, forgets, or lies.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sleep } from '../../protocol/clock.ts';
import { seededRandom } from '../../protocol/random.ts';
import { type HandClock, handClock } from '../../protocol/testing/hand-clock.ts';
import type { HubError } from '../errors.ts';
import { GIVE_UP_MS, LEASE_MS, type Lease } from './lease.ts';
import { type MemoryLeases, openMemoryLeases } from './memory-lease.ts';
import { leaseCompliance } from './testing/lease-compliance.ts';

const NEVER = new AbortController().signal;
const random = seededRandom('memory leases');
const chance = (): number => random.below(1000) / 1000;

leaseCompliance('in memory', async () => {
  const clock = handClock();
  const leases = openMemoryLeases(clock);
  const names = new Map<Lease, string>();
  return {
    clock,
    async open() {
      const name = String(names.size);
      const lease = leases.open(name, clock, chance);
      names.set(lease, name);
      return lease;
    },
    cut: async (lease) => leases.reach(names.get(lease)!, false),
    settle: (promise) => clock.run(promise),
    pass: (duration_ms) => sleep(clock, duration_ms),
    async close() {},
  };
});

interface Setup {
  readonly clock: HandClock;
  readonly leases: MemoryLeases;
  readonly one: Lease;
  readonly other: Lease;
}

function twoProcesses(): Setup {
  const clock = handClock();
  const leases = openMemoryLeases(clock);
  const [one, other] = ['one', 'other'].map((name) => leases.open(name, clock, chance));
  return { clock, leases, one, other };
}
const why = (signal: AbortSignal): [string, string] => {
  const { code, message } = signal.reason as HubError;
  return [code, message];
};

test('a holder that is not answered goes on while nobody else may have the lease, and gives up in the end', async () => {
  const { clock, leases, one, other } = twoProcesses();
  const held = await clock.run(one.hold('one', NEVER));
  for (const name of ['one', 'other']) leases.reach(name, false);
  await clock.pass(GIVE_UP_MS - 2000);
  assert.equal(held.lost.aborted, false);
  leases.reach('one', true);
  await clock.pass(1500);
  assert.equal(held.lost.aborted, false, 'nobody had taken it: it has it again');
  assert.equal(await clock.run(one.holder()), 'one');
  leases.reach('one', false);
  await clock.pass(GIVE_UP_MS + 1000);
  assert.deepEqual(why(held.lost), [
    'lease-lost',
    'expected to hold the lease for 3000 ms more, but nobody has confirmed it for 12 seconds',
  ]);
  await clock.run(held.release());
  leases.reach('other', true);
  await clock.run(other.hold('other', NEVER));
});

test('a holder that stood still while another took the lease hears who has it', async () => {
  const { clock, leases, other } = twoProcesses();
  const frozen = handClock();
  const held = await frozen.run(leases.open('frozen', frozen, chance).hold('frozen', NEVER));
  const next = await clock.run(other.hold('other', NEVER));
  assert.ok(clock.elapsed_ms() >= LEASE_MS);
  await frozen.pass(1000);
  assert.match(why(held.lost)[1], /other has it/);
  assert.equal(next.lost.aborted, false);
});

test('a holder that stood still for long does not ask first', async () => {
  const { clock, one } = twoProcesses();
  const held = await clock.run(one.hold('one', NEVER));
  clock.move(GIVE_UP_MS + 1000);
  assert.match(why(held.lost)[1], /nobody has confirmed it/);
});

test('a keeper that lies makes two holders, each of whom believes it', async () => {
  const { clock, leases, one, other } = twoProcesses();
  leases.lie(true);
  const both = await clock.run(Promise.all([one.hold('one', NEVER), other.hold('other', NEVER)]));
  await clock.pass(60_000);
  assert.deepEqual(
    both.map(({ lost }) => lost.aborted),
    [false, false],
  );
  leases.lie(false);
  await clock.pass(5000);
  assert.equal(both.filter(({ lost }) => lost.aborted).length, 1, 'and one, once it tells the truth');
});
