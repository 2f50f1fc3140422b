// Compliance tests for every Lease. Each implementation's test file calls them.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Clock } from '../../../protocol/clock.ts';
import { type Held, LEASE_MS, type Lease } from '../lease.ts';

export interface LeasesUnderTest {
  /** The same lease as one more process sees it. */
  open(): Promise<Lease>;
  /** From now on the keeper hears the process no more whose lease this is. */
  cut(lease: Lease): Promise<void>;
  readonly clock: Clock;
  /** Lets a promise settle, on whatever clock this runs. */
  settle<T>(promise: Promise<T>): Promise<T>;
  /** Resolves after some of the clock's time. */
  pass(duration_ms: number): Promise<unknown>;
  close(): Promise<void>;
}

const NEVER = new AbortController().signal;
/** For asking, and for a machine that is busy. */
const SLACK_MS = 3000;

type WithLeases = (name: string, use: (leases: LeasesUnderTest) => Promise<void>) => void;

/** @param open starts a keeper; the test closes it */
export function leaseCompliance(
  kind: string,
  open: () => Promise<LeasesUnderTest>,
  skip: string | false = false,
): void {
  const withLeases: WithLeases = (name, use) =>
    void test(name, { timeout: 30_000, skip }, async () => {
      const leases = await open();
      try {
        await use(leases);
      } finally {
        await leases.close();
      }
    });

  // They wait for the lease to end, not for the processor.
  describe(`a lease ${kind}`, { concurrency: true }, () => {
    oneHolder(withLeases);
    manyWaiting(withLeases);
  });
}

function oneHolder(withLeases: WithLeases): void {
  withLeases('is held by one, whom everybody can read, and renewed', async ({ open, settle, pass }) => {
    const [one, other] = await settle(Promise.all([open(), open()]));
    assert.equal(await settle(other.holder()), null);
    const held = await settle(one.hold('the one', NEVER));
    assert.equal(await settle(other.holder()), 'the one');
    let second: Held | null = null;
    const waiting = other.hold('the other', NEVER).then((later) => {
      second = later;
      return later;
    });
    await settle(pass(LEASE_MS + 1000));
    assert.deepEqual([second, held.lost.aborted], [null, false]);
    assert.equal(await settle(one.holder()), 'the one');
    await settle(held.release());
    await settle((await settle(waiting)).release());
  });

  withLeases('that is released goes to who waits, at once', async ({ open, settle, clock }) => {
    const [one, other] = await settle(Promise.all([open(), open()]));
    const held = await settle(one.hold('one', NEVER));
    const waiting = other.hold('other', NEVER);
    const from_ms = clock.elapsed_ms();
    await settle(held.release());
    const next = await settle(waiting);
    assert.ok(clock.elapsed_ms() - from_ms < LEASE_MS / 2, `${clock.elapsed_ms() - from_ms} ms`);
    assert.equal(await settle(one.holder()), 'other');
    await settle(held.release()); // does nothing more
    assert.equal(await settle(one.holder()), 'other');
    assert.deepEqual([held.lost.aborted, next.lost.aborted], [false, false]);
    await settle(next.release());
    assert.equal(await settle(one.holder()), null);
  });

  withLeases('that is not renewed goes to another', async ({ open, settle, clock, cut }) => {
    const [one, other] = await settle(Promise.all([open(), open()]));
    await settle(one.hold('one', NEVER));
    const from_ms = clock.elapsed_ms();
    await cut(one);
    const held = await settle(other.hold('other', NEVER));
    const took_ms = clock.elapsed_ms() - from_ms;
    assert.ok(took_ms > LEASE_MS - SLACK_MS / 2 && took_ms < LEASE_MS + SLACK_MS, `${took_ms} ms`);
    await settle(held.release());
  });
}

function manyWaiting(withLeases: WithLeases): void {
  withLeases('is not taken by who does not want it any more', async ({ open, settle, pass }) => {
    const [one, other, third] = await settle(Promise.all([open(), open(), open()]));
    const held = await settle(one.hold('one', NEVER));
    const enough = new AbortController();
    const waiting = other.hold('other', enough.signal);
    waiting.catch(() => {});
    await settle(pass(50));
    enough.abort(new Error('enough'));
    await assert.rejects(settle(waiting), /enough/);
    await assert.rejects(settle(other.hold('other', AbortSignal.abort(new Error('before')))), /before/);
    await settle(held.release());
    await settle((await settle(third.hold('third', NEVER))).release());
  });

  withLeases('is held by one of many at a time, and by each in the end', async ({ open, settle, pass }) => {
    const leases = await settle(Promise.all(Array.from({ length: 6 }, () => open())));
    let holders = 0;
    const had: string[] = [];
    const rounds = leases.map(async (lease, i) => {
      const held = await lease.hold(`number ${i}`, NEVER);
      holders++;
      assert.equal(holders, 1);
      await pass(20);
      assert.deepEqual([holders, held.lost.aborted], [1, false]);
      holders--;
      had.push(String(i));
      await held.release();
    });
    await settle(Promise.all(rounds));
    assert.equal(had.length, leases.length);
  });
}
