// The course of each worker's own work and its numbers, for people who open its row: rebuilt from the log or kept with a snapshot.

import type { WorkSubmitted } from '../core/events/work-submitted.ts';
import type { WorkerPoint } from '../protocol/messages.ts';
import type { Keepsake } from './snapshots.ts';
import type { Watcher } from './watched-machine.ts';

const LIMITS = {
  points: 64, // per worker: a row is a few hundred pixels wide
  workers: 4096, // per run: with all their points some 20 MB; later workers have no curve here, but all their events are in the log
} as const;

export interface WorkerHistories extends Keepsake, Watcher {
  /** What a worker reported with its merged work, oldest first; of many points, every second one is dropped. */
  of(run: string, worker: string): readonly WorkerPoint[];
}

export function openWorkerHistories(): WorkerHistories {
  const runs = new Map<string, Map<string, WorkerPoint[]>>();

  const note = (
    run: string,
    merged_rounds: number,
    { worker, work }: { worker: string; work: WorkSubmitted },
  ): void => {
    const workers = runs.get(run) ?? new Map<string, WorkerPoint[]>();
    runs.set(run, workers);
    if (!workers.has(worker) && workers.size >= LIMITS.workers) return;
    const { amount, numbers } = work;
    const points = [...(workers.get(worker) ?? []), { merged_rounds, amount, numbers }];
    const last = points.length - 1;
    workers.set(worker, last < LIMITS.points ? points : points.filter((_, i) => i % 2 === 0 || i === last));
  };

  return {
    saw(state, { body }, merged) {
      if (body.type !== 'round.merged') return;
      const { round } = state.runs.get(body.run)!;
      for (const { worker, body: work } of merged) note(body.run, round, { worker, work });
    },
    of: (run, worker) => runs.get(run)?.get(worker) ?? [],
    take: () => [...runs].map(([run, workers]) => [run, [...workers]]),
    restore(kept) {
      for (const [run, workers] of kept as [string, [string, WorkerPoint[]][]][]) runs.set(run, new Map(workers));
    },
  };
}
