// The state machine: `refusalOf` says whether an event may follow, `apply` applies it. A wrong event gives a refusal, never an exception.

import { refusalOfKey } from './devices.ts';
import { kindOfEvent, type LoggedEvent } from './events.ts';
import { type Refusal, refuse } from './refusal.ts';
import { advance } from './rounds/deadlines.ts';
import type { NetworkState } from './state.ts';

/** The state machine as a value, which a hub gets. */
export interface StateMachine {
  refusalOf(state: NetworkState, event: LoggedEvent): Refusal | null;
  apply(state: NetworkState, event: LoggedEvent): Refusal | null;
}

/** Checks an event against the state without changing it; null where it may follow. */
export function refusalOf(state: NetworkState, event: LoggedEvent): Refusal | null {
  const { body, author } = event;
  const refused = refusalOfKey(state, event);
  if (refused) return refused;
  const kind = kindOfEvent(body.type);
  const run = 'run' in body ? state.runs.get(body.run) : undefined;
  if (kind.in_run && !run) return refuse('unknown-run', `no run ${'run' in body && body.run} in this log`);
  if (kind.in_run && run?.moved && !kind.after_move) {
    const { hub, url } = run.moved;
    return refuse('run-moved', `run ${run.id} goes on in the log of hub ${hub}, at ${url}`);
  }
  if (kind.by_hub && author !== state.hub) {
    return refuse('not-the-hub', `${kind.by_hub} by the hub ${state.hub}, got ${author}`);
  }
  return kind.in_run ? kind.refusalOf(state, run!, event) : kind.refusalOf(state, event);
}

/**
 * Applies an event: changes `state` in place where `refusalOf` allows the event, otherwise returns the refusal and changes nothing.
 * The same events in the same order give the same state on every machine.
 */
export function apply(state: NetworkState, event: LoggedEvent): Refusal | null {
  const refusal = refusalOf(state, event);
  if (refusal) return refusal;
  state.events++;
  const { body } = event;
  const kind = kindOfEvent(body.type);
  if (kind.in_run && 'run' in body) {
    const run = state.runs.get(body.run)!;
    kind.apply(state, run, event);
    advance(state, run);
    if (kind.changes_balances) run.balances_since = state.events;
  } else if (!kind.in_run) {
    kind.apply(state, event);
  }
  return null;
}

/**
 * Rises whenever the same log gives another state, or the state gets another form (rules-version.test.ts notices both). A hub starts from a
 * snapshot only if it has this version.
 */
export const RULES_VERSION = 16;

/** The state machine that everybody runs. */
export const core: StateMachine = { refusalOf, apply };
