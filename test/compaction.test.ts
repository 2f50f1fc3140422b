// A run whose owner keeps only what is recent: the hub deletes what nobody can need again, and a late joiner still finds its way.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { neededBlobs } from '../src/core/rounds/needed-blobs.ts';
import { History } from '../src/simulation/history.ts';
import { type Plan, planOf } from '../src/simulation/plan.ts';

const ROUNDS = 12;

/** A calm history of many rounds, into whose last ones somebody comes late. */
function plan(keeps_recent: boolean): Plan {
  const base = planOf(1);
  const peer = { ...base.peers[0], joins_ms: 0, step_ms: 60, latency_ms: 5, jitter_ms: 0, bytes_per_ms: 5000 };
  const honest = { ...peer, skew_ms: 0, rate: 1, lies_percent: 0 };
  const peers = [
    { ...honest, name: 'early', role: 'worker' as const },
    { ...honest, name: 'vera', role: 'validator' as const },
    { ...honest, name: 'late', role: 'worker' as const, joins_ms: 15_000 },
  ];
  const times = { rounds: ROUNDS, round_ms: 6000, judging_ms: 4000, min_workers: 1, checkpoint_every: 2, steps: 40 };
  return { ...base, peers, faults: [], run: { ...base.run, ...times, keeps_recent } };
}

async function play(keeps_recent: boolean) {
  const world = new History(plan(keeps_recent), null);
  const { violation } = await world.play();
  assert.equal(violation, null);
  const kept = new Set<string>();
  for await (const hash of world.disk.blobs.list()) kept.add(hash);
  const merges = world.oracle.witnessed.flatMap(({ event: { body } }) => (body.type === 'round.merged' ? [body] : []));
  const run = world.oracle.state.runs.get(world.run)!;
  const works = world.oracle.witnessed.flatMap(({ event: { body } }) => (body.type === 'work.submitted' ? [body] : []));
  const late = run.peers.get(world.peers[2].identity.id);
  return { kept, merges, run, works, late };
}

test('everything is kept unless the owner says otherwise', async () => {
  const { kept, merges, works } = await play(false);
  for (const { work } of works) assert.ok(kept.has(work));
  for (const { bundle } of merges) assert.ok(bundle === null || kept.has(bundle));
});

test('what nobody needs goes, what somebody needs stays, and who comes late takes part', async () => {
  const { kept, merges, works, run, late } = await play(true);
  assert.equal(run.round, ROUNDS);
  for (const [what, hash] of [...neededBlobs(run), ['the first model', run.spec.model]])
    assert.ok(kept.has(hash), what);
  const old = merges.filter(({ round }) => round < ROUNDS - 6);
  assert.ok(old.length >= 5);
  for (const { bundle, checkpoint, model } of old) {
    assert.ok(bundle !== null && !kept.has(bundle));
    assert.ok(!checkpoint || !kept.has(model));
  }
  for (const { work, round } of works) if (round < ROUNDS - 3) assert.ok(!kept.has(work), `work of round ${round}`);
  assert.ok(late && late.merged_submissions > 0, 'the late worker has caught up and its work was merged');
});
