// Contests a decision that a recheck contradicts: a device of this machine that may do so asks every eligible validator to judge again.

import type { PublicLog } from '../audit/public-log.ts';
import type { Recheck } from '../audit/recheck.ts';
import { replayWithPool } from '../audit/shares.ts';
import type { VerdictContested } from '../core/events/verdict-contested.ts';
import { contestRounds, refusalOfContest } from '../core/rounds/contest.ts';
import { PeerError } from '../protocol/peer-errors.ts';
import { OwnerError } from './errors.ts';

/** A contest that may be opened now. */
export interface PossibleContest {
  readonly body: VerdictContested;
  /** The device that may sign it. */
  readonly by: string;
  readonly decided: 'accepted' | 'fraud';
  readonly round: number;
  /** The number of merged rounds after which the jury's verdicts are revealed at the latest. */
  readonly shows_round: number;
  readonly merged_rounds: number;
}

/**
 * The contest of what a recheck contradicts, by the first of `devices` that may open it.
 * Throws OwnerError `nothing-to-contest` where the recheck does not show that the decision was wrong, and `refused` with the core's reason.
 */
export async function contestOf(
  log: PublicLog,
  recheck: Recheck,
  devices: readonly string[],
): Promise<PossibleContest> {
  const { submission, run: id } = recheck;
  const { state } = await replayWithPool(log, { verify_signatures: false });
  const run = state.runs.get(id)!;
  const work = run.decided.get(submission);
  const { verdict } = recheck.rounds.at(-1)!;
  const wrong = work?.found === 'accepted' ? verdict.fraud : work?.found === 'fraud' && verdict.accepted;
  if (work && !wrong) {
    const found = verdict.accepted ? 'the work that was asked for' : `refused (${verdict.code}), but not made up`;
    const was = work.found === 'accepted' ? 'accepted' : 'called made up';
    const lie = recheck.rounds.slice(0, -1).find((round) => round.verdict.fraud)?.submission;
    const instead = lie ? `; but an earlier round of its worker is made up: ${lie}` : '';
    const message = `it was ${was}, and here it is ${found}: nothing to contest${instead}`;
    throw new OwnerError('nothing-to-contest', message);
  }
  const body: VerdictContested = {
    ...{ type: 'verdict.contested', version: 1, run: id, submission, contest: work?.contests ?? 0 },
  };
  const answers = devices.map((by) => ({ by, refusal: refusalOfContest(run, by, body) }));
  const may = answers.find(({ refusal }) => refusal === null);
  if (may && work) {
    const shows_round = run.round + contestRounds(run.rules) - 1;
    return { body, by: may.by, decided: work.found, round: work.round, shows_round, merged_rounds: run.round };
  }
  const refusal = answers[0]?.refusal;
  if (!refusal)
    throw new OwnerError('no-such-device', 'expected a device of this machine that may contest it, got none');
  throw new PeerError('refused', refusal.message, { refusal: refusal.code });
}
