// The parts of bench cluster measure what they say: every event of a leader's is in the follower's state, and none of a killed leader's is lost.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { NATS_SKIPPED } from '../hub/cluster/testing/nats-server.ts';
import { run } from './cluster.ts';
import { measureLyingLease } from './lying-lease.ts';
import { measureSequencing } from './sequencing.ts';

test('a leader and a follower have a price for an event, and a lag', { skip: NATS_SKIPPED }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'potluck-sequencing-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const of = await measureSequencing(folder, { events: 300, paced_events: 100, seconds: 1, workers: 8 });
  assert.ok(of.per_cpu_s > 50 && of.replay_per_cpu_s > 50 && of.batches > 0, JSON.stringify(of));
  assert.ok(of.lag_p50_ms >= 0 && of.lag_p99_ms < 30_000 && of.paced_per_s > 10, JSON.stringify(of));
});

test('two processes that both believe they lead write one chain, in which everything that they answered is there once', {
  skip: NATS_SKIPPED,
}, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'potluck-lying-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const { violation, acknowledged, lost, doubled, led, fenced, heads } = await measureLyingLease(folder, 'double', 5);
  assert.deepEqual([violation, lost, doubled], [null, 0, 0]);
  assert.ok(led > 1 && fenced > 0, `${led} began to lead, ${fenced} were told that they do not`);
  assert.ok(acknowledged > 5 && heads > acknowledged, `${acknowledged} acknowledged, ${heads} heads`);
});

test('without a NATS server the part that needs none is measured', async () => {
  const only = ['presign' as const];
  const { text, failure } = await run({
    ...{ only, store: 'double', events: 1000, workers: 8, paced: 100, seconds: 1 },
    ...{ kills: 1, load: 50, fronts: 1, still_seconds: 0 },
    outage_seconds: 1,
    dir: tmpdir(),
  });
  assert.match(text, /a presigned upload, of processor +[\d.]+ µs +≤ 100 µs/);
  assert.equal(failure, null);
});
