// The core as tests run it: all invariants are checked after every event.
import { AssertionError } from 'node:assert';
import type { LoggedEvent } from '../events.ts';
import { brokenState, brokenStep, stepOf } from '../invariants.ts';
import * as core from '../reduce.ts';
import type { Refusal } from '../refusal.ts';
import type { NetworkState } from '../state.ts';

/** As the core's `apply`; throws AssertionError with the first invariant that the event has broken. */
export function apply(state: NetworkState, event: LoggedEvent): Refusal | null {
  const before = stepOf(state, event);
  const refusal = core.apply(state, event);
  const broken = refusal ? null : (brokenStep(before, state, event) ?? brokenState(state));
  if (broken) throw new AssertionError({ message: `after event ${before.events} (${event.body.type}): ${broken}` });
  return refusal;
}
