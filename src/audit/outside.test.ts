// What a log alone does not show: every change that a hub can make with its own key and that used to pass is found by what others saw, or is told.
import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { z } from 'zod';
import type { EventBody } from '../core/events.ts';
import { openDrawer } from '../games/folder-drawer.ts';
import type { AnyGame } from '../games/game.ts';
import { cosignCheckpoint } from '../ledger/checkpoint.ts';
import { witnessName } from '../ledger/key-names.ts';
import { openReceipts } from '../ledger/receipts.ts';
import type { TransparencyLog } from '../ledger/transparency-log.ts';
import { systemClock } from '../protocol/clock.ts';
import { createIdentity, type Identity } from '../protocol/identity.ts';
import { auditWith } from './audit.ts';
import { audit } from './local-audit.ts';
import { localTestimony } from './local-testimony.ts';
import { inlinePool } from './pool.ts';
import { AuditFailure, type AuditFailureCode } from './public-log.ts';
import { HEADS_FOLDER, openHeads } from './seen-heads.ts';
import {
  auditOf,
  type Entry,
  ExampleLog,
  headOf,
  logOf,
  publicLogOf,
  SETTINGS,
  signed,
} from './testing/example-log.ts';
import { witnessOnce } from './witness.ts';

const played = async (rounds: number): Promise<ExampleLog> => {
  const example = new ExampleLog();
  await example.begin();
  for (let i = 0; i < rounds; i++) await example.playRound();
  return example;
};

/** One honest log for the tests that only change copies of it. */
const example = await played(3);
const { hub, entries } = example;

const changed = async (list: readonly Entry[], cosigned?: string) => publicLogOf(await logOf(hub, list), cosigned);
const indexOf = (type: EventBody['type'], nth = 0): number =>
  entries.flatMap(({ event }, index) => (event.body.type === type ? [index] : [])).at(nth)!;

async function isUntrue(
  code: AuditFailureCode,
  message: RegExp,
  ...[log, options]: Parameters<typeof auditOf>
): Promise<AuditFailure> {
  const found: unknown = await auditOf(log, options).catch((error) => error);
  assert.ok(found instanceof AuditFailure, `expected ${code}, got ${found}`);
  assert.equal(found.code, code, found.message);
  assert.match(found.message, message);
  return found;
}

async function cosignedBy(
  log: TransparencyLog,
  time_ms: number,
  witness: Identity = createIdentity(),
): Promise<string> {
  return cosignCheckpoint(witness, witnessName(witness.id), (await log.checkpoint()).note, Math.floor(time_ms / 1000));
}

test('an honest log: every head that its authors name is in its tree, and what nobody outside has seen is said', async () => {
  const report = await auditOf(await publicLogOf(example.log));
  const { heads, clocks, departures, warnings, witnesses } = report;
  // Each peer's first event names none; after that all joins, works and seals do.
  assert.deepEqual([heads.named, heads.authors, heads.not_compared, heads.false_authors], [3 * 3 + 3 * 3, 4, 0, []]);
  assert.deepEqual([warnings, witnesses], [[], []]);
  assert.deepEqual([clocks.clocks, clocks.ahead_ms, clocks.rounds_compared, clocks.jumps], [4, 0, 2, []]);
  assert.equal(departures.said, 0);
  assert.deepEqual(report.cannot_tell, [
    'no witness has cosigned this log, so the hub could show other people another log',
    'how long 1 of 3 rounds really took: the clocks of fewer than two workers show it',
  ]);
});

test('two seals swapped, an event replaced, one left out: whoever signed later has seen the true order', async () => {
  const seal = indexOf('verdict.sealed');
  const swapped = [...entries];
  [swapped[seal], swapped[seal + 1]] = [swapped[seal + 1], swapped[seal]];
  const found = await isUntrue(
    'diverged',
    /had been shown (\d+) signed events before, but it stands at \d+/,
    await changed(swapped),
  );
  assert.match(String(found.details.signed), new RegExp(`^potluck/${hub.id}\n`), 'the evidence is the hub’s own note');
  const tick = indexOf('tick', 3);
  const { time_ms } = entries[tick].event.body as { time_ms: number };
  const other = await signed(hub, { type: 'tick', version: 1, time_ms: time_ms + 1 });
  await isUntrue(
    'diverged',
    /signed another history of \d+ events for the author of event/,
    await changed(entries.toSpliced(tick, 1, other)),
  );
  await isUntrue('diverged', /cut short|another history/, await changed(entries.toSpliced(tick, 1)));
});

test('any tick but those that nobody has seen yet, moved by a millisecond, is found', async () => {
  const last = entries.findLastIndex(({ event }) => 'seen_head' in event.body);
  const ticks = entries.flatMap(({ event }, index) => (event.body.type === 'tick' && index < last - 4 ? [index] : []));
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...ticks), async (index) => {
      const { time_ms } = entries[index].event.body as { time_ms: number };
      const other = await signed(hub, { type: 'tick', version: 1, time_ms: time_ms - 1 });
      await assert.rejects(auditOf(await changed(entries.toSpliced(index, 1, other))), AuditFailure);
    }),
    { numRuns: 10 },
  );
});

test('the end cut off or replaced: a witness, a peer of this machine, or the sentence that nobody has seen it', async () => {
  const cut = entries.slice(0, -5);
  const last = await signed(hub, { type: 'tick', version: 1, time_ms: example.state.time_ms + 1 });
  const replaced = [...entries.slice(0, -1), last];
  for (const list of [cut, replaced]) {
    const { cannot_tell } = await auditOf(await changed(list));
    assert.match(cannot_tell[0], /^no witness has cosigned this log/);
  }
  const note = await cosignedBy(example.log, example.now_ms);
  await isUntrue('omitted', /signed a log of \d+ events for a witness, and this one ends at/, await changed(cut, note));
  await isUntrue('diverged', /another history of \d+ events for a witness/, await changed(replaced, note));
  const kept = { ...(await example.log.checkpoint()), from: 'the peer in x' };
  await isUntrue('omitted', /for the peer in x/, await changed(cut), { heads: [kept] });
  await isUntrue('diverged', /for the peer in x/, await changed(replaced), { heads: [kept] });
});

test('a log that went back and on again holds an event that names more than came before it', async () => {
  const cut = entries.slice(0, -3);
  const peer = await signed(createIdentity(), {
    ...{ type: 'peer.joined', version: 1, run: example.run, session: 0, role: 'worker', name: 'x', runtime: 'y' },
    seen_head: await headOf(example.log, hub),
  });
  await isUntrue(
    'diverged',
    /had been shown \d+ signed events before, but it stands at/,
    await changed([...cut, peer]),
  );
});

test('a head that the hub has never signed is its author’s false word, and says nothing of the hub', async () => {
  const liar = createIdentity();
  const seen = await headOf(example.log, hub);
  const lie = (root: string, size: number) => ({ seen_head: { ...seen, root, size } });
  const join = {
    type: 'peer.joined',
    version: 1,
    run: example.run,
    session: 0,
    role: 'worker',
    name: 'x',
    runtime: 'y',
  } as const;
  for (const word of [lie('b'.repeat(64), seen.size), lie(seen.root, seen.size + 50)]) {
    const { warnings, heads } = await auditOf(await changed([...entries, await signed(liar, { ...join, ...word })]));
    assert.deepEqual([heads.false_authors, heads.named], [[liar.id], 18]);
    assert.match(
      warnings[0],
      /names a head that the hub has not signed: a false claim, which says nothing about the hub/,
    );
  }
});

test('a cosigned head: who and when; the events after it; one that is none', async () => {
  const witness = createIdentity();
  const early = await logOf(hub, entries.slice(0, -4));
  const note = await cosignedBy(early, example.now_ms, witness);
  const { witnesses, cannot_tell } = await auditOf(await publicLogOf(example.log, note));
  const { length: size } = entries.slice(0, -4);
  assert.deepEqual(witnesses, [{ name: witnessName(witness.id), size, time_s: Math.floor(example.now_ms / 1000) }]);
  assert.match(cannot_tell[0], /^no witness has cosigned the last 4 events/);
  const bare = await auditOf(await publicLogOf(example.log, (await early.checkpoint()).note));
  assert.match(bare.cannot_tell[0], /^no witness has cosigned this log/, 'the hub’s own signature is nobody else’s');
  const own = await auditOf(await publicLogOf(example.log, await cosignedBy(early, example.now_ms, hub)));
  assert.deepEqual([own.witnesses, own.cannot_tell[0]], [[], bare.cannot_tell[0]], 'nor is what it says as a witness');
  const forged = note.replace(`witness/${witness.id}`, `witness/${createIdentity().id}`);
  await isUntrue('bad-checkpoint', /cosigned/, await publicLogOf(example.log, forged));
});

test('peers of whom the hub said that they had gone are counted, and those who were back at once', async () => {
  const one = await played(1);
  const [first, second] = one.workers.map(({ identity }) => identity);
  const leave = (peer: string) =>
    one.add(one.hub, { type: 'peer.left', version: 1, run: one.run, peer, session: 0, reason: 'connection lost' });
  await one.openRound();
  await leave(first.id);
  await leave(second.id);
  await one.tick(5000);
  await one.join(first, 'worker', 1);
  for (let i = 0; i < 4; i++) await one.tick(14_000);
  await one.join(second, 'worker', 1);
  await one.add(first, {
    type: 'peer.left',
    version: 1,
    run: one.run,
    peer: first.id,
    session: 1,
    reason: 'connection lost',
  });
  // Between rounds the log's clock stands still: this one may have been away for hours.
  while (one.open.phase !== 'merging') await one.tick(10_000);
  await one.merge();
  await one.add(one.hub, {
    type: 'peer.left',
    version: 1,
    run: one.run,
    peer: second.id,
    session: 1,
    reason: 'connection lost',
  });
  await one.join(second, 'worker', 2);
  const { departures } = await auditOf(await publicLogOf(one.log));
  assert.deepEqual(departures, { said: 3, peers: 2, soon_back: 1, soon_ms: 30_000 });
});

test('refused work that is gone is listed: nobody can judge it again', async () => {
  const one = new ExampleLog();
  await one.begin();
  await one.openRound();
  const ids = [];
  for (const { identity } of one.workers) ids.push(await one.handIn(identity));
  await one.judgeAndMerge(ids, false);
  const log = await publicLogOf(one.log);
  const game = { name: 'pretrain', params: z.object({}), decodeState: () => ({}) } as unknown as AnyGame;
  const blobs = { blob: async (hash: string) => (hash === SETTINGS ? new TextEncoder().encode('{}') : null) };
  const { unchecked } = await auditWith(
    inlinePool(blobs, async () => game),
    log,
    { now_ms: one.now_ms },
  );
  const told = unchecked.find((what) => what.includes('nobody can judge it again')) ?? '';
  assert.match(told, /^the verdicts on 3 submissions that were not merged: the work is gone/);
  for (const id of ids) assert.ok(told.includes(id.slice(0, 12)));
});

test("what this machine's peers and witness have seen is found in their folders, and only that of this hub", async (t) => {
  const home = mkdtempSync(join(tmpdir(), 'potluck-testimony-'));
  t.after(() => rmSync(home, { recursive: true, force: true }));
  assert.deepEqual(await localTestimony(home, hub.id), { receipts: [], heads: [], not_compared: [] });
  const folder = join(home, 'peers', 'worker');
  const drawer = openDrawer(join(folder, HEADS_FOLDER));
  const keeper = await openHeads({ hub: hub.id, drawer, log: () => publicLogOf(example.log), clock: systemClock });
  const last = entries.length - 1;
  const receipt = await example.log.receipt(last);
  keeper.saw(receipt, undefined);
  await keeper.close();
  await openReceipts(join(folder, 'runs', 'b')).keep(entries[last].bytes, receipt);
  const stranger = await played(1);
  await openReceipts(join(folder, 'runs', 'a')).keep(stranger.entries[0].bytes, await stranger.log.receipt(0));
  await witnessOnce(await publicLogOf(example.log), createIdentity(), join(home, 'witness'), 5);

  const testimony = await localTestimony(home, hub.id);
  assert.deepEqual(testimony.receipts, [join(folder, 'runs', 'b', 'receipts.jsonl')]);
  const seen = testimony.heads.map(({ size, from }) => [size, from]);
  assert.deepEqual(seen, [
    [entries.length, `the peer in ${folder}`],
    [entries.length, `the witness in ${join(home, 'witness')}`],
  ]);
  const options = { testimony, models: false, threads: 0 };
  const report = await audit(await publicLogOf(example.log), options);
  assert.deepEqual([report.receipts, report.heads.known], [1, 2]);
  const cut = await changed(entries.slice(0, -2));
  await assert.rejects(audit(cut, options), { code: 'omitted' });
  // A folder may be an older copy, so that is told, and accuses nobody.
  const copy = await audit({ ...cut, where: home }, options);
  assert.match(copy.cannot_tell.join('\n'), /3 receipts and heads of this machine's peers, which are of a longer log/);
  appendFileSync(testimony.receipts[0], 'no receipt\n');
  const damaged = await audit(await publicLogOf(example.log), options);
  assert.match(damaged.cannot_tell.join('\n'), /line 2: expected JSON/);
  await assert.rejects(audit(await publicLogOf(example.log), { ...options, receipts: testimony.receipts[0] }), {
    code: 'bad-receipt',
  });
});

test("a peer's evidence that the hub has forked is enough for an audit of either log", async (t) => {
  const home = mkdtempSync(join(tmpdir(), 'potluck-testimony-'));
  t.after(() => rmSync(home, { recursive: true, force: true }));
  const drawer = openDrawer(join(home, 'peers', 'worker', HEADS_FOLDER));
  const fork = await logOf(
    hub,
    entries.with(-1, await signed(hub, { type: 'tick', version: 1, time_ms: example.state.time_ms + 9 })),
  );
  const keeper = await openHeads({ hub: hub.id, drawer, log: () => publicLogOf(fork), clock: systemClock });
  keeper.saw(await example.log.receipt(0), undefined);
  keeper.saw(await fork.receipt(0), undefined);
  await keeper.idle();
  const testimony = await localTestimony(home, hub.id);
  for (const log of [example.log, fork]) {
    await assert.rejects(audit(await publicLogOf(log), { testimony, models: false, threads: 0 }), { code: 'diverged' });
  }
});
