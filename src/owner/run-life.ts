// Pauses, resumes or ends a run for its owner: the event names the current attempt, and is signed again if a round has passed meanwhile.

import type { EventBody } from '../core/events.ts';
import { findRun } from '../peer/find-run.ts';
import { sendEvent } from '../peer/send-event.ts';
import { signEvent } from '../protocol/envelope.ts';
import type { Identity } from '../protocol/identity.ts';
import { PeerError } from '../protocol/peer-errors.ts';
import { OwnerError } from './errors.ts';

/** How often it is signed again. Rounds can be as short as a request takes; after this many tries a person is told. */
const ATTEMPTS = 5;

/** The phases of an open round. */
const OPEN = ['working', 'judging', 'revealing', 'merging'];

/** What was done to which run, and the run's phase before. */
export interface OwnersWordSaid {
  readonly run: string;
  readonly name: string;
  readonly merged_rounds: number;
  readonly rounds: number;
  readonly event: string;
  /** The round that is judged and merged first; null where none was open, or it was dropped. */
  readonly merges_first: number | null;
}

/**
 * Signs and sends it for the run whose id begins with `wanted`. `drop`: a pause or an end drops the open round's work instead of merging it first.
 * Throws PeerError `no-such-run`, `not-the-owner`, `refused` (a finished run, or one that is already, or not, paused), `hub-unreachable`, `not-a-hub`.
 */
export async function sayOfRun(
  url: string,
  owner: Identity,
  wanted: string,
  type: 'run.paused' | 'run.resumed' | 'run.ended',
  drop = false,
): Promise<OwnersWordSaid> {
  for (let left = ATTEMPTS - 1; ; left--) {
    const { run, name, owner: expected, round, rounds, attempt, phase } = (await findRun(url, wanted)).view;
    if (expected !== owner.id) {
      throw new OwnerError('not-the-owner', `only the owner ${expected} can do this with run ${run}, got ${owner.id}`);
    }
    try {
      const place = { run, round, attempt };
      const resumes = type === 'run.resumed';
      const body: EventBody = resumes ? { type, version: 1, ...place } : { type, version: drop ? 1 : 2, ...place };
      const event = await sendEvent(url, await signEvent(owner, body));
      const merges_first = !resumes && !drop && OPEN.includes(phase) ? round : null;
      return { run, name, merged_rounds: round, rounds, event, merges_first };
    } catch (error) {
      const gone = error instanceof PeerError && error.is('refused') && error.details.refusal === 'wrong-round';
      if (!gone || left === 0) throw error;
    }
  }
}
