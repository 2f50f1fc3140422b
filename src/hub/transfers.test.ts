// Places for transfers on a virtual clock: who trickles loses his, who is slowest makes room, and a stranger who holds many stops nobody.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../protocol/clock.ts';
import type { HubError } from './errors.ts';
import { EXTRA_PLACES, openTransfers, TRANSFER_LIMITS, type TransferLimits } from './transfers.ts';

/** Time that passes only when the test lets it, with what is set for then. */
function virtualClock(): Clock & { pass(by_ms: number): void } {
  let now_ms = 0;
  const timers = new Set<{ at_ms: number; run: () => void }>();
  return {
    now_ms: () => now_ms,
    elapsed_ms: () => now_ms,
    setTimeout(run, delay_ms) {
      const timer = { at_ms: now_ms + delay_ms, run };
      timers.add(timer);
      return timer;
    },
    clearTimeout: (timer) => void timers.delete(timer as never),
    pass(by_ms) {
      for (const end_ms = now_ms + by_ms; now_ms < end_ms; now_ms += 100) {
        for (const timer of [...timers].filter(({ at_ms }) => at_ms <= now_ms)) {
          timers.delete(timer);
          timer.run();
        }
      }
    },
  };
}

function opened(limits: Partial<TransferLimits> = {}) {
  const clock = virtualClock();
  const transfers = openTransfers(clock, { ...TRANSFER_LIMITS.up, ...limits });
  const ended: string[] = [];
  const begin = (name: string, more: { key?: string; address?: string | null; extra_places?: number } = {}) =>
    transfers.begin({ address: null, ...more, onEnd: ({ code }: HubError) => ended.push(`${name} ${code}`) });
  return { clock, transfers, ended, begin };
}

test('a byte a second keeps no place beyond 13 s; 20 kB/s keep it for as long as it takes', () => {
  const { clock, transfers, ended, begin } = opened();
  const trickle = begin('trickle');
  const line = begin('line');
  for (let second = 0; second < 13; second++) {
    trickle.moved(1);
    line.moved(20_000);
    clock.pass(1000);
  }
  assert.deepEqual(ended, ['trickle too-slow']);
  for (let second = 0; second < 600; second++) {
    line.moved(20_000);
    clock.pass(1000);
  }
  assert.deepEqual([ended.length, transfers.count], [1, 1]);
  line.done();
  trickle.done();
  assert.equal(transfers.count, 0);
});

test('a line that moved well and then falls silent loses its place as well', () => {
  const { clock, ended, begin } = opened();
  begin('line').moved(1e9);
  clock.pass(13_000);
  assert.deepEqual(ended, []);
  clock.pass(13_000);
  assert.deepEqual(ended, ['line too-slow']);
});

test('when all places are taken the slowest makes room, of those that had time to show it', () => {
  const { clock, transfers, ended, begin } = opened({ places: 3 });
  const [fast] = [begin('fast'), begin('slow'), begin('slower')];
  assert.throws(() => begin('early'), { code: 'busy' });
  assert.deepEqual(ended, []);
  fast.moved(1e6);
  clock.pass(TRANSFER_LIMITS.up.young_ms + 100);
  begin('next').moved(1);
  begin('another');
  assert.deepEqual(ended, ['slow busy', 'slower busy']);
  begin('third');
  assert.deepEqual(ended.at(-1), 'fast busy', 'the others are too young to be judged');
  assert.equal(transfers.count, 3);
});

test('many trickling uploads of a stranger leave places for what is small, and more for those who are at work', () => {
  const { begin } = opened();
  for (let i = 0; i < TRANSFER_LIMITS.up.places; i++) begin(`stranger ${i}`);
  assert.throws(() => begin('one more'), { code: 'busy' });
  for (let i = 0; i < EXTRA_PLACES.small; i++) begin('small', { extra_places: EXTRA_PLACES.small });
  assert.throws(() => begin('small', { extra_places: EXTRA_PLACES.small }), { code: 'busy' });
  begin('a worker', { extra_places: EXTRA_PLACES.small_of_present });
});

test('one key and one address have so many places; this machine itself is no address', () => {
  const { begin } = opened({ places: 20, per_key: 2, per_address: 3 });
  const [first] = [begin('key', { key: 'a' }), begin('key', { key: 'a' })];
  assert.throws(() => begin('key', { key: 'a' }), { code: 'busy' });
  begin('another key', { key: 'b' });
  first.done();
  first.done();
  begin('key', { key: 'a' });
  assert.throws(() => begin('key', { key: 'a' }), { code: 'busy' });
  for (let i = 0; i < 3; i++) begin('address', { address: '192.0.2.1' });
  assert.throws(() => begin('address', { address: '192.0.2.1' }), { code: 'busy' });
  begin('another address', { address: '192.0.2.2' });
  for (let i = 0; i < 5; i++) begin('here');
});
