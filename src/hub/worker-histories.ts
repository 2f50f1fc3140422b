// The course of each worker's own work and its numbers, for people who open its row: rebuilt from the log or kept with a snapshot.

import type { WorkSubmitted } from '../core/events/work-submitted.ts';
import type { LoggedEvent } from '../core/events.ts';
import type { StateMachine } from '../core/reduce.ts';
import { acceptedSubmissions } from '../core/rounds/judging.ts';
import type { NetworkState } from '../core/state.ts';
import type { WorkerPoint } from '../protocol/messages.ts';
import type { Keepsake } from './snapshots.ts';

const LIMITS = {
  points: 64, // per worker: a row is a few hundred pixels wide
  workers: 4096, // per run: with all their points some 20 MB; later workers have no curve here, but all their events are in the log
} as const;

export interface WorkerHistories extends Keepsake {
  /** The state machine, with the history of what it accepts, in a replay too. */
  watched(machine: StateMachine): StateMachine;
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
    watched: (machine) => ({
      refusalOf: machine.refusalOf,
      apply(state, event) {
        const merged = mergedWork(state, event);
        const refusal = machine.apply(state, event);
        if (!refusal && merged) for (const each of merged.works) note(merged.run, merged.merged_rounds, each);
        return refusal;
      },
    }),
    of: (run, worker) => runs.get(run)?.get(worker) ?? [],
    take: () => [...runs].map(([run, workers]) => [run, [...workers]]),
    restore(kept) {
      for (const [run, workers] of kept as [string, [string, WorkerPoint[]][]][]) runs.set(run, new Map(workers));
    },
  };
}

/** The work that is about to become part of a model. */
function mergedWork(state: NetworkState, { body }: LoggedEvent) {
  const run = body.type === 'round.merged' ? state.runs.get(body.run) : undefined;
  if (!run || body.type !== 'round.merged') return null;
  const works = acceptedSubmissions(state, run).map(({ submission: { worker, body: work } }) => ({ worker, work }));
  return { run: run.id, merged_rounds: run.round + 1, works };
}
