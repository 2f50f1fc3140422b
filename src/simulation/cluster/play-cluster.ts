// Plays one history of a hub of several processes: its plan's faults, and then the wait until everything is well.
import { begin } from './cluster-faults.ts';
import { Cluster, type ClusterOutcome } from './cluster-history.ts';
import type { ClusterPlan } from './cluster-plan.ts';

/** Senders go on for so long when the faults are over, and everything must be well by the second time. */
const GO_ON_MS = 8000;
const WELL_WITHIN_MS = 90_000;
/** Plays a plan, and then waits until everything is well. */
export async function playCluster(plan: ClusterPlan): Promise<ClusterOutcome> {
  const cluster = new Cluster(plan);
  cluster.begin();
  for (const fault of plan.faults) cluster.time.after(fault.at_ms, () => begin(cluster, fault));
  await cluster.pass(() => false, plan.calm_ms + GO_ON_MS);
  for (const sender of cluster.senders) sender.stop();
  await cluster.pass(() => cluster.missing() === null, WELL_WITHIN_MS);
  const missing = cluster.missing();
  if (missing) cluster.fail(`${WELL_WITHIN_MS} ms after the last fault: ${missing}`);
  return cluster.outcome();
}
