// What a peer saw of a log: honest growth is followed for ever, and a fork or a shorter log is found, kept as evidence and not forgotten.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hexToBytes } from '@noble/hashes/utils.js';
import fc from 'fast-check';
import { memoryDrawer } from '../games/memory-drawer.ts';
import { assembleCheckpoint, openCheckpoint } from '../ledger/checkpoint.ts';
import { equalHashes } from '../ledger/merkle.ts';
import { createMemoryLogStore } from '../ledger/testing/memory-log.ts';
import { openTransparencyLog, type TransparencyLog } from '../ledger/transparency-log.ts';
import { systemClock } from '../protocol/clock.ts';
import { createIdentity } from '../protocol/identity.ts';
import { Misbehaviour, type WitnessedLog } from './continuation.ts';
import { contradictionOf, type Heard, openHeads, readKeptHeads, withSeenHead } from './seen-heads.ts';

const hub = createIdentity();
const LOG = { name: `potluck/${hub.id}`, id: hub.id };
const MINUTE_MS = 60_000;

const entries = (from: number, to: number, word: string): Uint8Array[] =>
  Array.from({ length: Math.max(0, to - from) }, (_, i) => new TextEncoder().encode(`${word} ${from + i}`));

/** A log of so many entries; from `fork` on they are its own. */
async function logOf(size: number, fork = size, word = 'other'): Promise<TransparencyLog> {
  const log = openTransparencyLog(createMemoryLogStore(), hub);
  await log.append([...entries(0, Math.min(size, fork), 'entry'), ...entries(fork, size, word)]);
  return log;
}

const served = async (log: TransparencyLog): Promise<WitnessedLog> => ({
  ...{ hub: hub.id, head: await log.checkpoint() },
  tile: async (...place) => log.tile(...place),
});

/** A peer's view: a drawer that stays, a log that can be exchanged, a clock that is moved by hand. */
function desk() {
  const now = { elapsed_ms: 0 };
  const clock = { ...systemClock, elapsed_ms: () => now.elapsed_ms, now_ms: () => 1_000_000 + now.elapsed_ms };
  const forks: Misbehaviour[] = [];
  const problems: string[] = [];
  const drawer = memoryDrawer();
  let log: TransparencyLog | null = null;
  const open = async () => {
    const keeper = await openHeads({
      ...{ hub: hub.id, drawer, clock, onProblem: (code: string) => void problems.push(code) },
      log: async () => (log ? served(log) : Promise.reject(new Error('away'))),
    });
    keeper.onFork((fork) => forks.push(fork));
    return keeper;
  };
  return {
    ...{ now, forks, problems, drawer, open },
    serve(next: TransparencyLog | null) {
      log = next;
    },
  };
}

test('what a receipt alone shows', () => {
  const head = (size: number, root = 1) => ({ note: '', size, root: new Uint8Array(32).fill(root) });
  const named = (size: number) => ({ size, root: '', signature: '' });
  const says = (heard: Partial<Heard>) =>
    contradictionOf({ newest: head(5), named: undefined, head: head(7), index: 6, ...heard });
  assert.equal(says({}), null, 'the log has grown');
  assert.equal(says({ head: head(3) }), null, 'a receipt that was late');
  assert.equal(says({ head: head(5) }), null, 'the same log');
  assert.match(says({ head: head(5, 2) })!, /two different logs of 5 entries/);
  assert.equal(says({ named: named(6) }), null, 'the event stands behind what its author saw');
  assert.match(says({ named: named(7) })!, /signed 7 entries, and then put a new entry at 6/);
});

type Keeper = Awaited<ReturnType<typeof openHeads>>;

/** An event that is signed now is put at the end of a log, and its receipt comes back. */
async function handIn(keeper: Keeper, log: TransparencyLog, word = 'mine'): Promise<void> {
  const named = keeper.newest();
  const index = await log.append(entries(log.size, log.size + 1, word));
  keeper.saw(await log.receipt(index), named);
  await keeper.idle();
}

test('however an honest log grows and whenever it is looked at, it is followed, and the newest head is what the hub signed', async () => {
  const steps = fc.array(fc.tuple(fc.nat(300), fc.nat(2 * MINUTE_MS), fc.boolean()), { minLength: 1, maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(steps, async (list) => {
      const { now, forks, problems, drawer, open, serve } = desk();
      const log = await logOf(0);
      serve(log);
      let keeper = await open();
      for (const [more, passed_ms, restarts] of list) {
        await log.append(entries(log.size, log.size + more, 'entry'));
        now.elapsed_ms += passed_ms;
        await handIn(keeper, log);
        const seen = keeper.newest()!;
        assert.ok(equalHashes(hexToBytes(seen.root), log.rootAt(seen.size)));
        if (!restarts) continue;
        await keeper.close();
        keeper = await open();
        assert.equal(keeper.newest()?.size, seen.size, 'what was seen is kept over a restart');
      }
      const { heads } = await readKeptHeads(drawer, hub.id);
      assert.ok(heads.length >= 1 && heads.length <= 16);
      assert.deepEqual([forks, problems], [[], []]);
    }),
    { numRuns: 12 },
  );
});

test('a fork is found at the next look, wherever it is: both heads are kept, and this hub is not believed again', async () => {
  const place = fc.tuple(fc.integer({ min: 1, max: 600 }), fc.nat(599), fc.nat(400), fc.boolean());
  await fc.assert(
    fc.asyncProperty(place, async ([size, before, more, restarts]) => {
      const { now, forks, drawer, open, serve } = desk();
      const first = await logOf(size);
      let keeper = await open();
      await handIn(keeper, first, 'entry');
      if (restarts) {
        await keeper.close();
        keeper = await open();
      }
      const other = await logOf(size + 1 + more, Math.min(before, size));
      serve(other);
      now.elapsed_ms += MINUTE_MS;
      await handIn(keeper, other);
      assert.equal(forks.length, 1);
      await keeper.close();
      const { proof } = forks[0];
      const [a, b] = [proof.before, proof.now].map((note) => openCheckpoint(note, { id: hub.id, origin: LOG.name }));
      assert.ok(b.size >= a.size && !equalHashes(a.root, other.rootAt(a.size)), 'the evidence speaks for itself');
      await assert.rejects(open(), (error) => error instanceof Misbehaviour && error.code === 'log-rewritten');
      assert.equal((await readKeptHeads(drawer, hub.id)).fork?.now, proof.now);
    }),
    { numRuns: 12 },
  );
});

test('an older kept head that does not fit is found too, though the newest does', async () => {
  const { now, forks, open, serve } = desk();
  const first = await logOf(10);
  let keeper = await open();
  await handIn(keeper, first, 'entry');
  const other = await logOf(20, 5);
  await handIn(keeper, other); // no look is due: nothing is noticed yet, and this head is kept as the newest
  await keeper.close();
  serve(other);
  now.elapsed_ms += MINUTE_MS;
  keeper = await open();
  await handIn(keeper, other);
  assert.equal(forks.length, 1);
});

test('one size with two roots, and an event that is put before what was there when it was signed, speak for themselves', async () => {
  const twice = desk();
  let keeper = await twice.open();
  await handIn(keeper, await logOf(10));
  const twin = await logOf(11, 3);
  keeper.saw(await twin.receipt(10), undefined); // no look is needed
  assert.match(twice.forks[0].message, /two different logs of 11 entries/);
  const last = desk();
  keeper = await last.open();
  await handIn(keeper, await logOf(10));
  const signedAfter = keeper.newest();
  keeper.saw(await (await logOf(12)).receipt(11), signedAfter);
  assert.equal(last.forks.length, 0, 'right behind what was seen');
  keeper.saw(await twin.receipt(10), signedAfter);
  assert.match(last.forks[0].message, /put a new entry at 10/);
  const back = desk();
  keeper = await back.open();
  await handIn(keeper, await logOf(10));
  const named = keeper.newest();
  const shorter = await logOf(4);
  const index = await shorter.append(entries(4, 5, 'mine'));
  keeper.saw(await shorter.receipt(index), undefined);
  assert.equal(back.forks.length, 0, 'an event that names no head may have been there before');
  keeper.saw(await shorter.receipt(index), named);
  assert.match(back.forks[0].message, /signed 11 entries, and then put a new entry at 4: the log was rolled back/);
});

test('of the heads that were compared the last sixteen are kept', async () => {
  const { now, drawer, open, serve } = desk();
  const log = await logOf(0);
  serve(log);
  const keeper = await open();
  for (let i = 0; i < 20; i++) {
    now.elapsed_ms += MINUTE_MS;
    await handIn(keeper, log);
  }
  const { heads } = await readKeptHeads(drawer, hub.id);
  assert.deepEqual(
    heads.map(({ size }) => size),
    Array.from({ length: 16 }, (_, i) => i + 5),
  );
});

test('a mirror that lags, and a hub that does not answer, are told after a while and accused of nothing', async () => {
  const { now, forks, problems, open, serve } = desk();
  const log = await logOf(10);
  const keeper = await open();
  await handIn(keeper, log, 'entry');
  const look = async (answer: TransparencyLog | null): Promise<void> => {
    serve(answer);
    now.elapsed_ms += MINUTE_MS;
    await handIn(keeper, log, 'entry');
  };
  for (const answer of [await logOf(6), null, log, await logOf(7), null]) await look(answer);
  assert.deepEqual([forks, problems], [[], []], 'one look that succeeds begins the count anew');
  for (const answer of [await logOf(8), null]) await look(answer);
  assert.deepEqual([forks, problems], [[], ['heads-not-compared']]);
  serve(log);
  now.elapsed_ms += MINUTE_MS;
  await handIn(keeper, log, 'entry');
  assert.equal(keeper.newest()?.size, log.size);
  assert.equal(problems.length, 1);
});

test('joins, work and seals carry the head, from which anybody makes the note that the hub has signed', async () => {
  const { open } = desk();
  const log = await logOf(3);
  const keeper = await open();
  assert.equal(keeper.newest(), undefined);
  await handIn(keeper, log);
  const seen = keeper.newest()!;
  const parts = { size: seen.size, root: hexToBytes(seen.root), signature: hexToBytes(seen.signature) };
  assert.equal(assembleCheckpoint(parts, LOG), (await log.checkpoint()).note);
  const forged = assembleCheckpoint({ ...parts, size: 5 }, LOG);
  assert.throws(() => openCheckpoint(forged, { id: hub.id }), { code: 'bad-signature' });
  const seal = { type: 'verdict.sealed', version: 1, run: hub.id, submission: hub.id, seal: hub.id } as const;
  assert.deepEqual(withSeenHead(seal, seen), { ...seal, seen_head: seen });
  const tick = { type: 'tick', version: 1, time_ms: 1 } as const;
  assert.equal(withSeenHead(tick, seen), tick);
  assert.equal(withSeenHead(seal, undefined), seal);
});

test('a drawer that holds something else is as good as an empty one', async () => {
  const { drawer } = desk();
  for (const text of ['', 'x', '{}', '{"heads":[{"note":"no note","time_ms":1}],"fork":null}']) {
    await drawer.put(hub.id, new TextEncoder().encode(text));
    assert.deepEqual(await readKeptHeads(drawer, hub.id), { heads: [], fork: null });
  }
});
