// A history of rules alone: events drawn from the state, put to the core and to the auditor, who must agree about every one of them.
import { brokenState, brokenStep, stepOf } from '../core/invariants.ts';
import { core } from '../core/reduce.ts';
import { initialState } from '../core/state.ts';
import { type Cast, openCast } from '../core/testing/cast.ts';
import { drawEvents } from '../core/testing/drawn-events.ts';
import { Auditor } from './auditor/auditor.ts';
import { difference } from './auditor/compare.ts';

const EVENTS = 300;
let cast: Promise<Cast> | undefined;

/** What did not hold, with the event after which it did not; null: everything did. */
export async function playDrawn(seed: number): Promise<string | null> {
  cast ??= openCast();
  const people = await cast;
  const state = initialState(people.hub);
  const auditor = new Auditor(people.hub);
  const next = drawEvents(people, state, seed);
  for (let i = 0; i < EVENTS; i++) {
    const event = next();
    const { type } = event.body;
    const expected = auditor.refuses(event);
    const before = stepOf(state, event);
    const refusal = core.apply(state, event);
    // Which tree a contract elsewhere wants is the settlement's own affair; the auditor knows only the sum.
    const ofTheTree = type === 'payout.settled' && refusal?.message.startsWith('root') === true;
    if ((refusal === null) !== (expected === null) && !ofTheTree) {
      return refusal
        ? `${i} ${type} is refused (${refusal.message}), the auditor would take it`
        : `${i} ${type} is taken, the auditor would refuse it: ${expected}`;
    }
    if (refusal) continue;
    auditor.follow(event);
    const wrong = brokenStep(before, state, event) ?? brokenState(state) ?? difference(state, auditor.books);
    if (wrong) return `after ${i} ${type}: ${wrong}`;
  }
  return null;
}
