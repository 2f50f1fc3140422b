// A history of the rules alone: events are drawn from the state, and core and auditor must agree on each of them.
import { brokenState, brokenStep, stepOf } from '../core/invariants.ts';
import { core } from '../core/reduce.ts';
import { initialState } from '../core/state.ts';
import { type Cast, openCast } from '../core/testing/cast.ts';
import { ANSWERS_EVERY, drawEvents, JUDGING_EVERY } from '../core/testing/drawn-events.ts';
import { Auditor } from './auditor/auditor.ts';
import { difference } from './auditor/compare.ts';

/** 300 of the rules' histories, and between them those of answers and of their judging. */
const WITH_ANSWERS = (300 * ANSWERS_EVERY) / (ANSWERS_EVERY - 1);
const EVENTS = Math.floor((WITH_ANSWERS * JUDGING_EVERY) / (JUDGING_EVERY - 1));
let cast: Promise<Cast> | undefined;

/** The violated property and the event that violated it; null if there is none. */
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
    // The auditor does not know the Merkle tree of a settlement, only its sum.
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
