// A log that core and auditor keep side by side: they must agree on every event, and after it on everything.
import type { LoggedEvent } from '../core/events.ts';
import { brokenState, brokenStep, stepOf } from '../core/invariants.ts';
import { core } from '../core/reduce.ts';
import type { Refusal } from '../core/refusal.ts';
import { initialState, type NetworkState } from '../core/state.ts';
import { Auditor } from './auditor/auditor.ts';
import { difference } from './auditor/compare.ts';

export class AgreeingLog {
  readonly state: NetworkState;
  readonly auditor: Auditor;

  constructor(hub: string) {
    this.state = initialState(hub);
    this.auditor = new Auditor(hub);
  }

  /** Takes an event or refuses it. `wrong`: what does not hold then, in words; null: all does. */
  say(event: LoggedEvent): { readonly refusal: Refusal | null; readonly wrong: string | null } {
    const { state, auditor } = this;
    const { type } = event.body;
    const expected = auditor.refuses(event);
    const before = stepOf(state, event);
    const refusal = core.apply(state, event);
    // The auditor does not know the Merkle tree of a settlement, only its sum; nor the bytes of what a run takes along before they are read.
    const unknown = UNKNOWN[type];
    const isUnknown = refusal !== null && unknown?.test(refusal.message) === true;
    if ((refusal === null) !== (expected === null) && !isUnknown) {
      const wrong = refusal
        ? `${type} is refused (${refusal.message}), the auditor would take it`
        : `${type} is taken, the auditor would refuse it: ${expected}`;
      return { refusal, wrong };
    }
    if (refusal) return { refusal, wrong: null };
    auditor.follow(event);
    const wrong = brokenStep(before, state, event) ?? brokenState(state) ?? difference(state, auditor.books);
    return { refusal, wrong: wrong && `after ${type}: ${wrong}` };
  }
}

/** By type of event, refusals of what the auditor does not know. */
const UNKNOWN: { readonly [Type in LoggedEvent['body']['type']]?: RegExp } = {
  'payout.settled': /^root/,
  'run.moved': /^(state|size_bytes):/,
};
