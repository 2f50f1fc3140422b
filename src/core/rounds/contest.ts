// Contests: a decision of an earlier round can be contested for some rounds. Every eligible validator re-executes the work from the log while
// rounds go on. What more than half of the jury's stake finds wrong is taken back. No round waits for a contest.

import type { VerdictContested } from '../events/verdict-contested.ts';
import type { VerdictGiven } from '../events/verdict-given.ts';
import type { VerdictSealed } from '../events/verdict-sealed.ts';
import { CORE_LIMITS } from '../limits.ts';
import { type Refusal, refuse } from '../refusal.ts';
import type { Rules } from '../rules.ts';
import { hasWithheld } from '../shares/balances.ts';
import { forfeit, forfeitLast } from '../shares/payout.ts';
import type { Contest, DecidedWork, NetworkState, RunState, Submission, Withheld } from '../state.ts';
import { accountOf } from '../state.ts';
import { eligibleHere, suspend } from './eligible.ts';
import { refusalOfContent, stakesOfVerdicts } from './judging.ts';
import { dutyOf, openDraw, repeatableOf } from './panel.ts';

/**
 * Within how many merged rounds a decision can be contested. A jury has one round less, so that the work's pay is still withheld when the
 * jury's decision comes. 0: the rules withhold for too few rounds, and nothing can be contested.
 */
export function contestRounds({ withheld_rounds }: Rules): number {
  const half = Math.floor(withheld_rounds / 2);
  return half < 2 ? 0 : Math.min(half, CORE_LIMITS.contest_rounds);
}

/** Whether a decision may be contested now. */
export function refusalOfContest(run: RunState, author: string, body: VerdictContested): Refusal | null {
  const { submission, contest } = body;
  if (run.phase === 'finished') return refuse('wrong-phase', 'the run is finished: nothing is taken back any more');
  const work = run.decided.get(submission);
  if (!work) {
    const what =
      'a decision can be contested for some rounds, if the work was accepted, or was called made up at a cost to its worker';
    return refuse('not-contestable', `${submission} cannot be contested: ${what}`);
  }
  if (contest !== work.contests) return refuse('wrong-contest', `expected contest ${work.contests}, got ${contest}`);
  if (run.contests.has(submission)) return refuse('not-contestable', `${submission} is contested already`);
  const { contests } = run;
  if (contests.size >= CORE_LIMITS.open_contests || [...contests.values()].some(({ by }) => by === author)) {
    const limit = `a run has at most ${CORE_LIMITS.open_contests} open contests, one of each author`;
    return refuse('too-many-contests', limit);
  }
  return refusalOfContester(run, author, work);
}

/** The author of a contest must have something to lose: a seat as validator, or, where the work is its own, earnings since then. */
function refusalOfContester(run: RunState, author: string, work: DecidedWork): Refusal | null {
  const peer = run.peers.get(author);
  if (peer?.role === 'validator') {
    const seated = eligibleHere(run).includes(author) && peer.suspended_until <= run.round;
    return seated && peer.judged ? null : refuse('not-a-validator', `${author} has no seat here, or has never judged`);
  }
  if (author !== work.worker || work.found !== 'fraud') {
    return refuse('not-a-validator', `${author} may contest only that its own work was called made up`);
  }
  return hasWithheld(run, author)
    ? null
    : refuse('not-enough-shares', `${author} has earned nothing since then that it could lose`);
}

/** Opens a contest; call it only after `refusalOfContest` returned null. */
export function openContest(run: RunState, by: string, { submission }: VerdictContested): void {
  run.decided.get(submission)!.contests++;
  const shows_round = run.round + contestRounds(run.rules) - 1;
  run.contests.set(submission, { by, shows_round, judges: [], seals: new Map(), verdicts: new Map() });
}

/** When judges are drawn, contests without a jury get one: everybody who has a seat, absent validators too, because there is time to return. */
export function seatJuries(state: NetworkState, run: RunState): void {
  const isAll = run.eligible.length <= CORE_LIMITS.jury;
  for (const [id, contest] of run.contests) {
    if (contest.judges.length > 0) continue;
    const drawn = isAll ? [...run.eligible] : openDraw(state, run)(run.decided.get(id)!, CORE_LIMITS.jury);
    contest.judges = drawn.sort();
  }
}

/** Whether a jury's verdicts are to be revealed now. */
export function isShown({ round }: Pick<RunState, 'round'>, { shows_round, judges, seals }: Contest): boolean {
  return round >= shows_round || (judges.length > 0 && judges.every((id) => seals.has(id)));
}

export function refusalOfJurorsSeal(run: RunState, author: string, body: VerdictSealed): Refusal | null {
  const known = refusalOfJuror(run, author, body);
  if (known) return known;
  const contest = run.contests.get(body.submission)!;
  if (contest.seals.has(author)) return refuse('already-judged', `${author} has judged ${body.submission}`);
  return isShown(run, contest) ? refuse('wrong-phase', 'the verdicts of this contest are shown already') : null;
}

export function refusalOfJurorsVerdict(run: RunState, author: string, body: VerdictGiven): Refusal | null {
  const known = refusalOfJuror(run, author, body);
  if (known) return known;
  const contest = run.contests.get(body.submission)!;
  if (contest.verdicts.has(author)) return refuse('already-judged', `${author} has judged ${body.submission}`);
  if (!isShown(run, contest)) return refuse('wrong-phase', 'the verdicts of this contest are not shown yet');
  const seal = contest.seals.get(author);
  if (seal === undefined) return refuse('not-sealed', `${author} has sealed no verdict on ${body.submission}`);
  return refusalOfContent(run, author, body, seal, run.decided.get(body.submission)!.amount);
}

function refusalOfJuror(run: RunState, author: string, body: VerdictSealed | VerdictGiven): Refusal | null {
  const { submission, contest: number, appeal } = body;
  const contest = run.contests.get(submission);
  if (!contest) return refuse('unknown-submission', `${submission} is not contested`);
  const { contests } = run.decided.get(submission)!;
  if (number !== contests - 1 || appeal) return refuse('wrong-contest', `expected contest ${contests - 1}, no appeal`);
  if (contest.judges.includes(author)) return null;
  return refuse('not-assigned', `${author} was not drawn to judge the contested ${submission}`);
}

/** Remembers accepted work. Call it while the records are still those that decided who had to re-execute it. */
export function rememberAccepted(run: RunState, submission: Submission, account: string): void {
  const { worker, verdicts } = submission;
  const repeatable = repeatableOf(run, submission);
  const record = repeatable.consecutive_valid;
  // Only a worker without a record starts afresh, so that each judge could repeat it exactly; of other work an honest judge may not know enough.
  const couldKnow = (id: string): boolean => record === 0 && dutyOf(repeatable, id).repeat_permille === 1000;
  const said = [...verdicts].filter(([id, { accepted }]) => accepted && couldKnow(id)).map(([id]) => id);
  remember(run, submission, { worker, account, found: 'accepted', said, lost: [], record });
}

/** Remembers work that was called made up, where that cost its worker something. */
export function rememberFraud(
  state: NetworkState,
  run: RunState,
  submission: Submission,
  record: number,
  lost: readonly Withheld[],
): void {
  if (lost.length === 0 && record === 0) return;
  const { worker, first, verdicts } = submission;
  const said = [...(first ?? []), ...verdicts].filter(([, { fraud }]) => fraud).map(([id]) => id);
  remember(run, submission, { worker, account: accountOf(state, worker), found: 'fraud', said, lost, record });
}

function remember(
  run: RunState,
  { id, body }: Submission,
  work: Omit<DecidedWork, 'round' | 'amount' | 'refusals' | 'contests'>,
): void {
  if (contestRounds(run.rules) === 0) return;
  const said = [...new Set(work.said)].sort();
  const refusals = run.peers.get(work.worker)!.refused_submissions;
  run.decided.set(id, { ...work, said, round: run.round, amount: body.amount, refusals, contests: 0 });
}

/** After a merge or the end of the run: forgets decisions that can no longer be contested. */
export function forgetDecided(run: RunState): void {
  const over = run.phase === 'finished';
  if (over) run.contests.clear();
  const rounds = contestRounds(run.rules);
  for (const [id, { round }] of run.decided) {
    if (over || (round + rounds < run.round && !run.contests.has(id))) run.decided.delete(id);
  }
}

/**
 * Decides, when the round being merged is paid, the contests whose juries have answered or whose time is over. A finding needs more than
 * half of the whole jury's stake; without one nothing changes.
 */
export function settleContests(state: NetworkState, run: RunState): void {
  const wrong = new Set<string>();
  for (const [id, contest] of run.contests) {
    const { judges, verdicts, shows_round, by } = contest;
    const all = judges.length > 0 && judges.every((judge) => verdicts.has(judge));
    if (!all && run.round < shows_round) continue;
    run.contests.delete(id);
    const work = run.decided.get(id)!;
    const found = foundByJury(state, run, contest, work);
    if (found === null) continue;
    for (const [judge, { accepted, fraud }] of verdicts) {
      if (found === 'accepted' ? fraud : accepted) wrong.add(judge);
    }
    if (found === work.found) {
      wrong.add(by);
      continue;
    }
    for (const judge of work.said) wrong.add(judge);
    run.decided.delete(id);
    if (found === 'fraud') takeBack(run, work);
    else giveBack(run, work);
  }
  suspend(state, run, wrong);
  for (const id of wrong) forfeitLast(run, run.peers.get(id)!);
}

/** The finding of more than half of the whole jury's stake, by the verdicts so far; null where there is none. */
export function foundByJury(
  state: NetworkState,
  run: RunState,
  { judges, verdicts }: Contest,
  { worker }: DecidedWork,
): DecidedWork['found'] | null {
  const { seated, accepted, fraud } = stakesOfVerdicts(state, run, judges, { worker, verdicts });
  if (fraud * 2n > seated) return 'fraud';
  return accepted * 2n > seated ? 'accepted' : null;
}

/** Accepted work was made up: its worker loses what fraud costs, and its credit for the work. What was merged stays in the model. */
function takeBack(run: RunState, { worker, account, amount }: DecidedWork): void {
  const peer = run.peers.get(worker)!;
  peer.consecutive_valid = 0;
  peer.credit_amount -= amount;
  run.amounts.set(account, run.amounts.get(account)! - amount);
  forfeit(run, peer);
}

/** Honest work was called made up: its worker gets back what it lost, withheld as if it had never been lost. */
function giveBack(run: RunState, { worker, lost, record, refusals }: DecidedWork): void {
  const peer = run.peers.get(worker)!;
  for (const { account, shares } of lost) {
    run.shares.set(account, run.shares.get(account)! + shares);
    run.unearned_shares -= shares;
    peer.forfeited_shares -= shares;
  }
  const earned = [...lost, ...(run.withheld.get(worker) ?? [])].toSorted((a, b) => a.round - b.round);
  if (earned.length > 0) run.withheld.set(worker, earned);
  // A later refusal ends the record all the same.
  if (peer.refused_submissions === refusals) peer.consecutive_valid += record;
}
