// A run's owner pauses, resumes or ends it: an event that names the present attempt, signed again where a round has gone by meanwhile.
import { signEvent } from '../protocol/envelope.ts';
import type { Identity } from '../protocol/identity.ts';
import { PeerError } from './errors.ts';
import { findRun } from './find-run.ts';
import { sendEvent } from './owner.ts';

/** Rounds can be as short as a request takes; a hub that has always gone on since is one to tell a person of. */
const ATTEMPTS = 5;

/** What was said of which run, and where the run was. */
export interface OwnersWordSaid {
  readonly run: string;
  readonly name: string;
  readonly merged_rounds: number;
  readonly rounds: number;
  readonly event: string;
}

/**
 * Says it of the run whose id begins with `wanted`.
 * Throws PeerError no-such-run, not-the-owner, refused (a finished run, one that is paused already or is not), hub-unreachable, not-a-hub.
 */
export async function sayOfRun(
  url: string,
  owner: Identity,
  wanted: string,
  type: 'run.paused' | 'run.resumed' | 'run.ended',
): Promise<OwnersWordSaid> {
  for (let left = ATTEMPTS - 1; ; left--) {
    const { run, name, owner: expected, round, rounds, attempt } = (await findRun(url, wanted)).view;
    if (expected !== owner.id) {
      throw new PeerError('not-the-owner', `only the owner ${expected} can do this with run ${run}, got ${owner.id}`);
    }
    try {
      const event = await sendEvent(url, await signEvent(owner, { type, version: 1, run, round, attempt }));
      return { run, name, merged_rounds: round, rounds, event };
    } catch (error) {
      const gone = error instanceof PeerError && error.details.refusal === 'wrong-round';
      if (!gone || left === 0) throw error;
    }
  }
}
