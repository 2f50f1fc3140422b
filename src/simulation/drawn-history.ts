// A history of the rules alone: events are drawn from the state, and core and auditor must agree on each of them.
import { type Cast, openCast } from '../core/testing/cast.ts';
import { ANSWERS_EVERY, drawEvents, JUDGING_EVERY } from '../core/testing/drawn-events.ts';
import { AgreeingLog } from './agreeing-log.ts';

/** 300 of the rules' histories, and between them those of answers and of their judging. */
const WITH_ANSWERS = (300 * ANSWERS_EVERY) / (ANSWERS_EVERY - 1);
const EVENTS = Math.floor((WITH_ANSWERS * JUDGING_EVERY) / (JUDGING_EVERY - 1));
/** Runs leave and come in one history of so many. */
const MOVES_ONE_IN = 6;
let cast: Promise<Cast> | undefined;

/** The same of a log that follows a registry. */
export const playRegistry = (seed: number): Promise<string | null> => playDrawn(seed, { registry: true });

/** The violated property and the event that violated it; null if there is none. */
export async function playDrawn(seed: number, drawn: { readonly registry?: boolean } = {}): Promise<string | null> {
  cast ??= openCast();
  const people = await cast;
  const log = new AgreeingLog(people.hub);
  const moves = !drawn.registry && seed % MOVES_ONE_IN === MOVES_ONE_IN - 1;
  const next = drawEvents(people, log.state, seed, { ...drawn, moves });
  for (let i = 0; i < EVENTS; i++) {
    const { wrong } = log.say(next());
    if (wrong) return `event ${i}: ${wrong}`;
  }
  return null;
}
