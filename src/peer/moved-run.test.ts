// A device follows its run to another hub, waits for it on the way, and goes nowhere that its owner's network would not let strangers send it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { RunStatus } from '../protocol/messages.ts';
import { PeerError } from '../protocol/peer-errors.ts';
import { handClock } from '../protocol/testing/hand-clock.ts';
import { followRun, MOVED_RUN_LIMITS, nextHub } from './moved-run.ts';
import type { PeerNews } from './role.ts';

const A = 'https://a.example';
const B = 'https://b.example';
const hubAt = (url: string): string => url.slice('https://'.length, 'https://'.length + 1).repeat(64);

/** Hubs by address: what each says of the run, or the error that asking it brings. */
function world(from = A) {
  const hubs = new Map<string, { hub: string; moved?: { hub: string; url: string } } | PeerError>([
    [A, { hub: hubAt(A) }],
  ]);
  const clock = handClock();
  const leaving = new AbortController();
  const news: PeerNews[] = [];
  const joined: string[] = [];
  /** What happens to the run while the device takes part. */
  const world = { onJoin: (_url: string): 'finished' | 'left' => 'finished' };
  const follow = () =>
    followRun(
      {
        ...{ url: from, run: 'run', clock, signal: leaving.signal, onNews: (one) => void news.push(one) },
        async find(url) {
          const known = hubs.get(url) ?? new PeerError('no-such-run', 'not here');
          if (known instanceof PeerError) throw known;
          const { hub, moved } = known;
          return {
            hub,
            view: { run: 'run', ...(moved && { moved: { ...moved, entry: 0, index: 1 } }) } as unknown as RunStatus,
          };
        },
      },
      async ({ url }) => {
        joined.push(url);
        return world.onJoin(url);
      },
    );
  return Object.assign(world, { hubs, clock, leaving, news, joined, follow });
}

const goneTo = (url: string, hub = hubAt(url)) => ({ hub, url });

test('a run that is finished where it is, is finished; one that its owner takes back is left', async () => {
  const w = world();
  assert.equal(await w.follow(), 'finished');
  w.onJoin = () => 'left';
  w.hubs.set(A, { hub: hubAt(A), moved: goneTo(B) });
  w.hubs.set(B, { hub: hubAt(B) });
  assert.equal(await w.follow(), 'left');
  assert.deepEqual(w.joined, [A, B]);
});

test('a device that its owner takes back goes nowhere, also where the run goes at the same time', async () => {
  const w = world();
  w.hubs.set(B, { hub: hubAt(B) });
  w.onJoin = () => {
    w.hubs.set(A, { hub: hubAt(A), moved: goneTo(B) });
    return 'left';
  };
  assert.equal(await w.follow(), 'left');
  assert.deepEqual([w.joined, w.news], [[A], []]);
});

test('when the run goes while the device takes part, it goes on at the other hub', async () => {
  const w = world();
  w.hubs.set(B, { hub: hubAt(B) });
  w.onJoin = (url) => {
    if (url === A) w.hubs.set(A, { hub: hubAt(A), moved: goneTo(B) });
    return 'finished';
  };
  assert.equal(await w.follow(), 'finished');
  assert.deepEqual(w.joined, [A, B]);
  assert.deepEqual(w.news, [{ type: 'moved', run: 'run', url: B, hub: hubAt(B) }]);
});

test('a run that is still on its way is waited for, also where its hub does not answer yet', async () => {
  const w = world();
  w.hubs.set(A, { hub: hubAt(A), moved: goneTo(B) });
  w.hubs.set(B, new PeerError('hub-unreachable', 'not yet'));
  const over = w.follow();
  for (let i = 0; i < 5; i++) {
    await turn();
    await w.clock.pass(MOVED_RUN_LIMITS.longest_look_ms);
    if (i === 2) w.hubs.delete(B);
  }
  assert.deepEqual(w.joined, []);
  w.hubs.set(B, { hub: hubAt(B) });
  await turn();
  await w.clock.pass(MOVED_RUN_LIMITS.longest_look_ms);
  assert.equal(await over, 'finished');
  assert.deepEqual(w.joined, [B]);
});

test('who wants the device back gets it, also while it waits', async () => {
  const w = world();
  w.hubs.set(A, { hub: hubAt(A), moved: goneTo(B) });
  const over = w.follow();
  await turn();
  w.leaving.abort();
  assert.equal(await over, 'left');
});

test('another hub at that address, an address of the own network, and a circle are refused', async () => {
  const w = world();
  w.hubs.set(A, { hub: hubAt(A), moved: goneTo(B) });
  w.hubs.set(B, { hub: hubAt(A) });
  await assert.rejects(w.follow(), { code: 'other-hub' });
  w.hubs.set(A, { hub: hubAt(A), moved: goneTo('https://127.0.0.1:7700', hubAt(B)) });
  await assert.rejects(w.follow(), { code: 'elsewhere' });
  w.hubs.set(A, { hub: hubAt(A), moved: goneTo('http://b.example', hubAt(B)) });
  await assert.rejects(w.follow(), { code: 'elsewhere' });
  w.hubs.set(A, { hub: hubAt(A), moved: goneTo(B) });
  w.hubs.set(B, { hub: hubAt(B), moved: goneTo(A) });
  await assert.rejects(w.follow(), { code: 'elsewhere' });
});

test('a run is followed so often, and not once more', () => {
  const to = { run: 'run', ...goneTo(B) };
  assert.deepEqual(nextHub(A, to, MOVED_RUN_LIMITS.hops - 1), goneTo(B));
  assert.throws(() => nextHub(A, to, MOVED_RUN_LIMITS.hops), { code: 'elsewhere' });
});
