// The state machine with those who remember something of what it accepts: in a replay too, and what a merge takes is computed once for all.
import type { LoggedEvent } from '../core/events.ts';
import type { StateMachine } from '../core/reduce.ts';
import { acceptedSubmissions } from '../core/rounds/judging.ts';
import type { NetworkState, Submission } from '../core/state.ts';

export interface Watcher {
  /**
   * An event was accepted, and is applied.
   * @param merged of a merge: the work that it took, in order of id, which the state does not have any more
   */
  saw(state: NetworkState, event: LoggedEvent, merged: readonly Submission[]): void;
}

export function watchedBy(machine: StateMachine, watchers: readonly Watcher[]): StateMachine {
  return {
    refusalOf: machine.refusalOf,
    apply(state, event) {
      const merged = takenBy(state, event);
      const refusal = machine.apply(state, event);
      if (!refusal) for (const watcher of watchers) watcher.saw(state, event, merged);
      return refusal;
    },
  };
}

function takenBy(state: NetworkState, { body }: LoggedEvent): Submission[] {
  const run = body.type === 'round.merged' ? state.runs.get(body.run) : undefined;
  return run ? acceptedSubmissions(state, run).map(({ submission }) => submission) : [];
}
