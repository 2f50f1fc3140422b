// The hub's clock against those of others: honest clocks that differ, lag or are set accuse nobody; a hub's that runs ahead or is wrong is told with its number.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cosignCheckpoint } from '../ledger/checkpoint.ts';
import { witnessName } from '../ledger/key-names.ts';
import { createIdentity } from '../protocol/identity.ts';
import { auditOf, ExampleLog, publicLogOf } from './testing/example-log.ts';

const YEAR_MS = 365 * 86_400_000;

async function begun(workers = 3, hub_skew_ms = 0): Promise<ExampleLog> {
  const example = new ExampleLog(workers);
  example.hub_skew_ms = hub_skew_ms;
  await example.begin();
  return example;
}

const audited = async (example: ExampleLog, cosigned?: string) => auditOf(await publicLogOf(example.log, cosigned));

test('honest clocks that differ and views that come late are no jump of the hub’s, whatever they are', async () => {
  const skews = fc.array(fc.integer({ min: -YEAR_MS, max: YEAR_MS }), { minLength: 3, maxLength: 3 });
  const late = fc.array(fc.integer({ min: 0, max: 25_000 }), { minLength: 3, maxLength: 3 });
  await fc.assert(
    fc.asyncProperty(skews, fc.array(late, { minLength: 2, maxLength: 4 }), async (skew_ms, rounds) => {
      const example = await begun();
      for (const [i, worker] of example.workers.entries()) worker.skew_ms = Math.max(-example.now_ms, skew_ms[i]);
      // The first round is seen at once by all: what came late once is what a later one is compared with.
      for (const late_ms of [[], ...rounds]) await example.playRound(late_ms);
      const { clocks } = await audited(example);
      assert.deepEqual([clocks.jumps, clocks.rounds_compared], [[], rounds.length]);
    }),
    { numRuns: 6 },
  );
});

test('one peer’s wrong clock, or one that was set, says nothing of the hub', async () => {
  const example = await begun();
  example.workers[0].skew_ms = YEAR_MS;
  await example.playRound();
  example.workers[0].skew_ms = -YEAR_MS;
  await example.playRound();
  const { clocks, warnings } = await audited(example);
  assert.deepEqual([clocks.ahead_ms, clocks.jumps, warnings], [0, [], []]);
});

test('five ticks of 14 s after a round was opened end it before anybody worked: told with the number, at the next round', async () => {
  const example = await begun();
  await example.playRound();
  await example.playRound();
  await example.openRound();
  for (let i = 0; i < 5; i++) {
    example.hub_skew_ms += 14_000;
    await example.tick(50);
  }
  while (example.open.phase !== 'merging') {
    example.hub_skew_ms += 14_000;
    await example.tick(50);
  }
  await example.merge();
  const alone = await audited(example);
  assert.equal(alone.clocks.rounds_without_work, 1);
  assert.match(alone.cannot_tell.at(-1)!, /^why 1 round ended without any work although workers were here/);
  await example.playRound();
  const { clocks, warnings } = await audited(example);
  assert.equal(clocks.jumps.length, 1, 'once, not in every round after it');
  const [{ round, index, ahead_ms, clocks: heard }] = clocks.jumps;
  assert.deepEqual([round, example.entries[index].event.body.type, heard], [2, 'round.opened', 3]);
  assert.ok(Math.abs(ahead_ms - example.hub_skew_ms) < 10_000, `${ahead_ms} of ${example.hub_skew_ms}`);
  assert.match(warnings[0], /the hub's clock went on 1 min \d+ s further than those of most of 3 workers/);
  await example.playRound();
  assert.equal((await audited(example)).clocks.jumps.length, 1);
});

test('a round whose ticks are put forward while it is open and worked on is told as well; with one worker it is only not known', async () => {
  for (const workers of [3, 1]) {
    const example = await begun(workers);
    await example.playRound();
    example.hub_skew_ms += 40_000;
    await example.playRound();
    const { clocks, cannot_tell } = await audited(example);
    assert.equal(clocks.jumps.length, workers === 1 ? 0 : 1);
    if (workers === 1) assert.match(cannot_tell.join('\n'), /how long 2 of 2 rounds really took/);
  }
});

test('a log’s time that is corrected by a tenth, and a hub that was away, are no jumps', async () => {
  const example = await begun();
  await example.playRound();
  for (let i = 0; i < 4; i++) {
    example.now_ms += 300_000;
    example.hub_skew_ms += 33_000; // with the 31 s that a round takes
    await example.playRound();
  }
  example.now_ms += 3_600_000;
  await example.playRound();
  assert.deepEqual((await audited(example)).clocks.jumps, []);
});

test('who joins in the middle of a round has not seen it late', async () => {
  const example = await begun();
  const [first, ...others] = example.workers.map(({ identity }) => identity);
  await example.openRound();
  for (const { id } of others) await leave(example, id);
  for (let i = 0; i < 5; i++) await example.tick(5000);
  for (const who of others) await example.join(who, 'worker', 1);
  const ids = [await example.handIn(first, example.now_ms - 24_900)];
  for (const who of others) ids.push(await example.handIn(who, example.now_ms + 100));
  await example.judgeAndMerge(ids);
  await example.playRound();
  const { clocks } = await audited(example);
  assert.deepEqual([clocks.rounds_compared, clocks.jumps], [1, []]);
});

test('a clock that was ahead long ago, and is right by now, hides no jump', async () => {
  const example = await begun();
  example.hub_skew_ms = 200_000;
  await example.playRound();
  example.now_ms += 2_000_000;
  example.hub_skew_ms = 0;
  for (let i = 0; i < 4; i++) await example.playRound();
  example.hub_skew_ms = 40_000;
  await example.playRound();
  assert.equal((await audited(example)).clocks.jumps.length, 1);
});

test('a round that ends without work because nobody is here is no question', async () => {
  const example = await begun();
  await example.openRound();
  for (const { identity } of example.workers) await leave(example, identity.id);
  while (example.open.phase !== 'merging') await example.tick(10_000);
  await example.merge();
  assert.equal((await audited(example)).clocks.rounds_without_work, 0);
});

const leave = (example: ExampleLog, peer: string) =>
  example.add(example.hub, {
    type: 'peer.left',
    version: 1,
    run: example.run,
    peer,
    session: 0,
    reason: 'connection lost',
  });

test('all ticks a year earlier or later: the clocks of owner, workers and witnesses say so', async () => {
  for (const [skew_ms, word] of [
    [-YEAR_MS, /365 days behind most of 4 other clocks/],
    [YEAR_MS, /365 days ahead of most of 4 other clocks/],
  ] as const) {
    const example = await begun(3, skew_ms);
    await example.playRound();
    await example.playRound();
    const { warnings, clocks } = await audited(example);
    assert.match(warnings[0] ?? '', word);
    assert.ok(Math.abs(clocks.ahead_ms! - skew_ms) < 60_000);
    assert.deepEqual(clocks.jumps, []);
  }
});

test('without workers that say when, the owner’s clock and a witness’s are enough, and one alone says that one is wrong', async () => {
  const example = await begun(1, -YEAR_MS);
  await example.openRound();
  const alone = await audited(example);
  assert.match(alone.warnings[0], /365 days behind the only other clock in the log: one of the two is wrong/);
  const witness = createIdentity();
  const { note } = await example.log.checkpoint();
  const cosigned = await cosignCheckpoint(witness, witnessName(witness.id), note, Math.floor(example.now_ms / 1000));
  await example.tick(5000);
  const both = await audited(example, cosigned);
  assert.match(both.warnings[0], /365 days behind most of 2 other clocks/);
});
