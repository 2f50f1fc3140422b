// Histories of a hub of several processes, a few seeds of each kind; `npm run simulate -- --cluster` plays more.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ClusterFaultKind, clusterPlanOf } from './cluster-plan.ts';
import { playKills } from './kills.ts';
import { playCluster } from './play-cluster.ts';
import { KILL_POINTS } from './shared-journal.ts';

const SEEDS = 8;
const KILLS = 6;

test('whatever dies, stands still or is cut off, a hub of several processes keeps what it has promised', async () => {
  const kinds = new Set<ClusterFaultKind>();
  let acknowledged = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const plan = clusterPlanOf(seed);
    const outcome = await playCluster(plan);
    assert.equal(outcome.violation, null, `seed ${seed}`);
    for (const { kind } of plan.faults) kinds.add(kind);
    acknowledged += outcome.acknowledged;
  }
  assert.ok(kinds.size > 10, `${kinds.size} kinds of faults`);
  assert.ok(acknowledged > 10 * SEEDS, `${acknowledged} acknowledged`);
});

test('a history follows from its seed', async () => {
  const [first, second] = [await playCluster(clusterPlanOf(7)), await playCluster(clusterPlanOf(7))];
  assert.equal(first.trace_hash, second.trace_hash);
});

test('a leader killed at any point of its writes takes nothing along, and another answers within six seconds', async () => {
  const { violation, kills, acknowledged } = await playKills(1, KILLS);
  assert.equal(violation, null);
  assert.deepEqual(
    KILL_POINTS.map((point) => kills[point]),
    KILL_POINTS.map(() => KILLS / KILL_POINTS.length),
  );
  assert.ok(acknowledged > KILLS);
});
