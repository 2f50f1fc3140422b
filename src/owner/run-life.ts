// A run's owner pauses, resumes or ends it: an event that names the present attempt, signed again where a round has gone by meanwhile.

import type { EventBody } from '../core/events.ts';
import { findRun } from '../peer/find-run.ts';
import { signEvent } from '../protocol/envelope.ts';
import type { Identity } from '../protocol/identity.ts';
import { PeerError } from '../protocol/peer-errors.ts';
import { OwnerError } from './errors.ts';
import { sendEvent } from './owner.ts';

/** Rounds can be as short as a request takes; a hub that has always gone on since is one to tell a person of. */
const ATTEMPTS = 5;

/** The phases of an open round. */
const OPEN = ['working', 'judging', 'revealing', 'merging'];

/** What was said of which run, and where the run was. */
export interface OwnersWordSaid {
  readonly run: string;
  readonly name: string;
  readonly merged_rounds: number;
  readonly rounds: number;
  readonly event: string;
  /** The round that is judged and merged first; null: none was open, or it was dropped. */
  readonly merges_first: number | null;
}

/**
 * Says it of the run whose id begins with `wanted`. `drop`: of a pause or an end, that the open round's work is dropped instead of merged first.
 * Throws PeerError no-such-run, not-the-owner, refused (a finished run, one that is paused already or is not), hub-unreachable, not-a-hub.
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
