// Kills of the leader, one after the other, at every point of its writes, while events come in: what is lost, what is doubled, and how long nobody
// is answered.
import { seededRandom } from '../../protocol/random.ts';
import { Cluster } from './cluster-history.ts';
import { killsPlanOf } from './cluster-plan.ts';
import { KILL_POINTS, type KillPoint } from './shared-journal.ts';

export interface KillsOutcome {
  /** The property that did not hold; null for none. */
  readonly violation: string | null;
  readonly kills: Readonly<Record<KillPoint, number>>;
  readonly acknowledged: number;
  /** Acknowledged events that the journal lacks, and events that it has more than once. */
  readonly lost: number;
  readonly doubled: number;
  readonly events: number;
  /** From each kill to the first answer to an event that was handed in after it. */
  readonly gaps_ms: readonly number[];
}

/** A killed process starts again after so long. */
const BACK_MS = [500, 6000] as const;
/** The first answer after a kill comes within this time: a lease of three seconds, a question after it, and a write. */
export const ANSWERED_WITHIN_MS = 6000;
const QUIET_MS = 800;
const WELL_WITHIN_MS = 60_000;

/** Kills so many leaders of one hub. */
export async function playKills(seed: number, count: number): Promise<KillsOutcome> {
  const cluster = new Cluster(killsPlanOf(seed));
  const { journal, time, machines } = cluster;
  const random = seededRandom('kills', seed);
  const kills: Record<KillPoint, number> = { 'before-put': 0, 'after-put': 0, 'after-answer': 0 };
  const gaps_ms: number[] = [];
  let killed_ms: number | null = null;

  journal.onKill = (process, point) => {
    const machine = machines.find((one) => one.runs(process))!;
    kills[point]++;
    killed_ms = time.now_ms;
    cluster.ended(machine, random.below(4) === 0);
    time.after(BACK_MS[0] + random.below(BACK_MS[1] - BACK_MS[0]), () => machine.start());
  };
  cluster.onAcknowledged = ({ from_ms, at_ms }) => {
    if (killed_ms === null || from_ms < killed_ms) return;
    gaps_ms.push(at_ms - killed_ms);
    if (at_ms - killed_ms > ANSWERED_WITHIN_MS)
      cluster.fail(`the first answer after a kill came after ${at_ms - killed_ms} ms`);
    killed_ms = null;
  };
  cluster.begin();
  for (let i = 0; i < count && !cluster.failure; i++) {
    const point = KILL_POINTS[(seed + i) % KILL_POINTS.length];
    const before = kills[point];
    await cluster.pass(() => cluster.missing(false) === null, WELL_WITHIN_MS);
    await cluster.pass(() => false, QUIET_MS);
    journal.armed = point;
    await cluster.pass(() => kills[point] > before, WELL_WITHIN_MS);
    await cluster.pass(() => killed_ms === null, WELL_WITHIN_MS);
    if (kills[point] === before) cluster.fail(`nothing was written for ${WELL_WITHIN_MS} ms`);
  }
  for (const sender of cluster.senders) sender.stop();
  await cluster.pass(() => cluster.missing() === null, WELL_WITHIN_MS);
  const missing = cluster.missing();
  if (missing) cluster.fail(`after the last kill: ${missing}`);
  const { violation, acknowledged, lost, doubled, events } = cluster.outcome();
  return { violation, kills, acknowledged, lost, doubled, events, gaps_ms };
}
