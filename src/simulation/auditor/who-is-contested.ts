// Wrong decisions are taken back: for half of the time for which pay is withheld a decision can be contested; for as long again all eligible
// validators re-execute the work, and more than half of all their stake overturns it.
import type { VerdictContested } from '../../core/events/verdict-contested.ts';
import type { VerdictGiven } from '../../core/events/verdict-given.ts';
import type { VerdictSealed } from '../../core/events/verdict-sealed.ts';
import { accountOf, type Books, type Contest, type Decided, present, type RunBook, type Work } from './books.ts';
import { forfeit, mayBeLost } from './what-is-at-stake.ts';
import { together, unitOf, voices } from './who-is-accepted.ts';
import { suspend } from './who-is-appealed.ts';
import { jury, repeats, saysNothing } from './who-judges.ts';

const MOST_ROUNDS = 20;
const MOST_CONTESTS = 4;

/** Where fewer than four rounds are withheld nothing can be contested. */
const halfOf = (run: RunBook): number =>
  run.rules.withheld_rounds < 4 ? 0 : Math.min(Math.floor(run.rules.withheld_rounds / 2), MOST_ROUNDS);

export function mayNotContest(run: RunBook, author: string, body: VerdictContested): string | null {
  const work = run.decided.get(body.submission);
  if (!work) return 'nothing that can be contested';
  if (body.contest !== work.contests) return 'not its next contest';
  if (run.contests.has(body.submission)) return 'contested already';
  if (run.contests.size === MOST_CONTESTS) return 'too much is contested';
  for (const { by } of run.contests.values()) if (by === author) return 'it contests already';
  const peer = run.peers.get(author);
  if (peer?.role === 'validator') {
    const seated = run.eligible.includes(author) && present(run, 'validator').includes(author);
    if (!seated || peer.suspended_until > run.round) return 'no seat';
    return peer.judged ? null : 'it has never judged';
  }
  if (work.worker !== author) return 'not its own work';
  if (work.found === 'accepted') return 'its own work was accepted';
  const earned = (run.earnings.get(author) ?? []).filter(({ round }) => mayBeLost(run, round));
  return earned.length === 0 ? 'it has nothing to lose' : null;
}

export function contest(run: RunBook, by: string, { submission }: VerdictContested): void {
  const work = run.decided.get(submission)!;
  work.contests += 1;
  const shows = run.round - 1 + halfOf(run);
  run.contests.set(submission, { by, shows, judges: [], seals: new Map(), verdicts: new Map() });
}

/** Juries are seated when the judges of a round are drawn: everybody with a seat; of more than 64, a draw of those who are present. */
export function seatJuries(books: Books, run: RunBook): void {
  for (const [id, open] of run.contests) {
    if (open.judges.length > 0) continue;
    open.judges = run.eligible.length <= 64 ? run.eligible.slice() : jury(books, run, run.decided.get(id)!);
  }
}

/** All have committed their verdicts, or the time for that is over. */
const isShowing = (run: RunBook, { shows, judges, seals }: Contest): boolean =>
  run.round >= shows || (judges.length > 0 && judges.every((id) => seals.has(id)));

function asJuror(run: RunBook, author: string, body: VerdictSealed | VerdictGiven): string | Contest {
  const open = run.contests.get(body.submission);
  if (!open) return 'not contested';
  if (body.contest !== run.decided.get(body.submission)!.contests - 1) return 'of another contest';
  if (body.appeal) return 'of an appeal';
  return open.judges.includes(author) ? open : 'not of the jury';
}

export function mayNotSealContest(run: RunBook, author: string, body: VerdictSealed): string | null {
  const open = asJuror(run, author, body);
  if (typeof open === 'string') return open;
  if (open.seals.has(author)) return 'sealed already';
  return isShowing(run, open) ? 'too late' : null;
}

export function mayNotShowContest(run: RunBook, author: string, body: VerdictGiven): string | null {
  const open = asJuror(run, author, body);
  if (typeof open === 'string') return open;
  if (open.verdicts.has(author)) return 'shown already';
  if (!isShowing(run, open)) return 'too soon';
  return saysNothing(run, author, body, open.seals.get(author), run.decided.get(body.submission)!.amount);
}

/** Accepted work. For work of a worker without a record its judges who re-executed it answer, because it started afresh and each could know. */
export function noteAccepted(books: Books, run: RunBook, work: Work): void {
  const { valid } = run.peers.get(work.worker)!;
  const accepting = [...work.verdicts.keys()].filter((id) => work.verdicts.get(id)!.accepted);
  const knew = accepting.filter((id) => work.first !== null || repeats(run, work, work.judges, id));
  note(books, run, work, { found: 'accepted', answer: valid === 0 ? knew : [], lost: [], valid });
}

/** Work that was called made up, where that took a record or shares from its worker; those who called it so answer for it. */
export function noteFraud(books: Books, run: RunBook, work: Work, valid: number, lost: Decided['lost']): void {
  if (valid === 0 && lost.length === 0) return;
  const all = [...(work.first?.entries() ?? []), ...work.verdicts.entries()];
  const answer = all.filter(([, { fraud }]) => fraud).map(([id]) => id);
  note(books, run, work, { found: 'fraud', answer, lost, valid });
}

function note(
  books: Books,
  run: RunBook,
  { id, worker, body }: Work,
  more: Pick<Decided, 'found' | 'answer' | 'lost' | 'valid'>,
): void {
  if (halfOf(run) === 0) return;
  const answer = [...new Set(more.answer)].sort();
  const { refused } = run.peers.get(worker)!;
  const about = { worker, account: accountOf(books, worker), round: run.round, amount: body.amount };
  run.decided.set(id, { ...more, ...about, answer, refused, contests: 0 });
}

/** What is over is forgotten; in a finished run, everything. */
export function forget(run: RunBook): void {
  if (run.phase === 'finished') run.contests = new Map();
  const stays = ([id, { round }]: [string, Decided]): boolean =>
    run.contests.has(id) || (run.phase !== 'finished' && run.round - round <= halfOf(run));
  run.decided = new Map([...run.decided].filter(stays));
}

/** Call it when a round is paid and records have changed. */
export function settleContests(books: Books, run: RunBook): void {
  const contradicted = new Set<string>();
  for (const [id, open] of [...run.contests]) {
    const spoken = open.judges.length > 0 && open.judges.every((judge) => open.verdicts.has(judge));
    if (!spoken && run.round < open.shows) continue;
    run.contests.delete(id);
    const work = run.decided.get(id)!;
    const truth = truthOf(books, run, open, work.worker);
    if (truth === 'unknown') continue;
    const against = truth === 'accepted' ? 'fraud' : 'accepted';
    for (const [judge, said] of open.verdicts) if (said[against]) contradicted.add(judge);
    if (truth === work.found) contradicted.add(open.by);
    else {
      for (const judge of work.answer) contradicted.add(judge);
      overturn(run, work);
      run.decided.delete(id);
    }
  }
  suspend(books, run, contradicted);
}

/** Silence counts for nobody: more than half of the whole jury must agree; silent devices of the worker's own account are left out. */
function truthOf(books: Books, run: RunBook, open: Contest, worker: string): 'accepted' | 'fraud' | 'unknown' {
  const { verdicts } = open;
  const jurors = open.judges.filter((id) => verdicts.has(id) || accountOf(books, id) !== accountOf(books, worker));
  const all = together(books, run, jurors);
  const unit = unitOf(all);
  let [accepted, fraud] = [0n, 0n];
  for (const [judge, stake] of voices(books, run, [...verdicts.keys()], unit)) {
    if (verdicts.get(judge)!.accepted) accepted += stake;
    if (verdicts.get(judge)!.fraud) fraud += stake;
  }
  if (2n * fraud > all * unit) return 'fraud';
  return 2n * accepted > all * unit ? 'accepted' : 'unknown';
}

function overturn(run: RunBook, { found, worker, account, amount, lost, valid, refused }: Decided): void {
  const peer = run.peers.get(worker)!;
  if (found === 'accepted') {
    forfeit(run, peer);
    peer.valid = 0;
    peer.credit_amount -= amount;
    run.amounts.set(account, run.amounts.get(account)! - amount);
    return;
  }
  for (const { account: holder, shares } of lost) {
    run.shares.set(holder, run.shares.get(holder)! + shares);
    run.unearned -= shares;
    peer.forfeited -= shares;
  }
  const earned = [...lost, ...(run.earnings.get(worker) ?? [])];
  earned.sort((one, other) => one.round - other.round);
  if (earned.length > 0) run.earnings.set(worker, earned);
  if (peer.refused === refused) peer.valid += valid;
}
