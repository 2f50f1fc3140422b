// What shows that a run has come to a hub's log: another log has let it go to there, and it is the run that its first event says.
import type { RunArrived } from '../events/run-arrived.ts';
import { type RunCreated, RunCreatedSchema } from '../events/run-created.ts';
import { type RunMoved, RunMovedSchema } from '../events/run-moved.ts';
import { type Refusal, refuse } from '../refusal.ts';
import { type ForeignEvent, openForeign, openForeignEvent } from './foreign-event.ts';

export interface Came {
  readonly departure: RunMoved;
  readonly spec: RunCreated;
}

/** Opens what a run has come to the log of `hub` with: proofs and signatures, and whether it all speaks of one run and one owner. */
export function openCame({ run, created, moved }: RunArrived, hub: string): Came | Refusal {
  const departure = openMoved(moved);
  if ('code' in departure) return departure;
  if (departure.run !== run) return refuse('wrong-state', `expected run ${run}, the other log let ${departure.run} go`);
  if (departure.to !== hub) {
    return refuse('wrong-hub', `the other log let the run go to ${departure.to}, this is the log of ${hub}`);
  }
  const first = openForeignEvent(created);
  if ('code' in first) return first;
  if (first.id !== run) return refuse('wrong-state', `expected the first event of run ${run}, got ${first.id}`);
  const spec = RunCreatedSchema.safeParse(first.body);
  if (!spec.success)
    return refuse(
      'wrong-state',
      `the first event of run ${run} is no run.created that this log knows: ${spec.error.issues[0].message}`,
    );
  if (first.author === departure.owner) return { departure, spec: spec.data };
  return refuse('wrong-state', `${first.author} created the run, the other log says that ${departure.owner} owns it`);
}

/** The departure that another log states, with its proof. */
export function openMoved(moved: ForeignEvent): RunMoved | Refusal {
  const event = openForeign(moved);
  if ('code' in event) return event;
  const parsed = RunMovedSchema.safeParse(event.body);
  if (!parsed.success) return refuse('bad-proof', `expected a run.moved of the other log, got ${event.body.type}`);
  if (event.author === moved.hub) return parsed.data;
  return refuse('bad-proof', `expected a run.moved by the hub ${moved.hub}, got one by ${event.author}`);
}
