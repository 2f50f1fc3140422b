// Work that its first judges did not all accept is judged again by every eligible validator; those who contradicted them are suspended and not paid.
import { accountOf, type Books, present, type RunBook, type Work } from './books.ts';
import { mayBeLost, takeLast } from './what-is-at-stake.ts';
import { decide } from './who-is-accepted.ts';
import { jury } from './who-judges.ts';

/** At most so many times in a row each suspension is twice as long; after so many rounds without one it starts over. */
const [MOST_STRIKES, FORGOTTEN_ROUNDS] = [6, 100];
/** For so many rounds a warned account must not stay silent again. */
const WARNED_ROUNDS = 100;

function isDisputed(run: RunBook, work: Work): boolean {
  const said = [...work.verdicts.values()];
  if (work.first || said.length === 0) return false;
  const validators = present(run, 'validator');
  const here = run.eligible.filter((id) => validators.includes(id));
  if (new Set([...here, ...work.verdicts.keys()]).size === 1) return false;
  if (said.length < Math.min(run.rules.judges, here.length) / 2) return true;
  if (said.every(({ accepted }) => accepted)) return false;
  const bond = (run.earnings.get(work.worker) ?? []).some(({ round }) => mayBeLost(run, round));
  const unknown = run.peers.get(work.worker)!.valid === 0 && !bond;
  if (unknown && said.length > 1 && said.every(({ accepted }) => !accepted)) return false;
  // Where every eligible validator has re-executed the work, nobody knows better.
  return here.some((id) => !work.verdicts.has(id) || work.knew.get(id) !== 'all');
}

/** Begins an appeal where there is something to judge again; returns whether it did. */
export function judgeAgain(books: Books, run: RunBook): boolean {
  const disputed = [...run.works.values()].filter((work) => isDisputed(run, work));
  if (disputed.length === 0) return false;
  for (const work of run.works.values()) {
    if (disputed.includes(work)) {
      const judges = jury(books, run, work);
      const knew = new Map([...work.knew].filter(([id]) => work.seals.has(id)));
      Object.assign(work, { judges, first: work.verdicts, knew, seals: new Map(), verdicts: new Map() });
    } else work.judges = work.judges.filter((id) => work.verdicts.has(id));
  }
  Object.assign(run, { phase: 'judging', judging_ms: 0, appeals: true });
  return true;
}

/** Call it when the round has been paid, before records change. */
export function settleAppeals(books: Books, run: RunBook): void {
  const contradicted = new Set<string>();
  for (const work of run.works.values()) {
    if (!work.first) continue;
    const truth = decide(books, run, work);
    if (truth !== 'accepted' && truth !== 'fraud') continue;
    for (const [judge, { accepted }] of work.first) {
      const knew = !accepted || work.knew.get(judge) === 'all';
      if (accepted !== (truth === 'accepted') && knew) contradicted.add(judge);
    }
    for (const [judge, { accepted, fraud }] of work.verdicts) {
      if (truth === 'accepted' ? fraud : accepted) contradicted.add(judge);
    }
  }
  suspend(books, run, contradicted);
}

/** A validator that contradicted a jury is suspended, and loses its last pay. */
export function suspend(books: Books, run: RunBook, contradicted: ReadonlySet<string>): void {
  strike(books, run, contradicted);
  for (const id of contradicted) takeLast(run, run.peers.get(id)!);
}

/**
 * Longer each time. A device may be bound again, an account cannot: its strikes are those of all its devices, before any of them is struck now.
 */
function strike(books: Books, run: RunBook, ids: ReadonlySet<string>): void {
  const remembered = [...run.peers.values()].filter((peer) => run.round - peer.struck_round <= FORGOTTEN_ROUNDS);
  const before = new Map(
    [...ids].map((id) => {
      const same = remembered.filter((peer) => accountOf(books, peer.id) === accountOf(books, id));
      return [id, Math.max(0, ...same.map(({ strikes }) => strikes))];
    }),
  );
  for (const id of ids) {
    const peer = run.peers.get(id)!;
    peer.strikes = Math.min(MOST_STRIKES, before.get(id)! + 1);
    peer.struck_round = run.round;
    peer.suspended_until = run.round + 1 + 2 ** peer.strikes;
  }
}

/**
 * A validator silent in this round is suspended too, if it or another device of its account was silent in one of the hundred rounds before,
 * unless it is suspended already; it loses no pay. A forgotten peer has nothing to lose.
 */
export function settleSilence(books: Books, run: RunBook): void {
  const silent = run.silent.flatMap((id) => run.peers.get(id) ?? []);
  const again = silent.filter(
    ({ id, suspended_until }) =>
      suspended_until < run.round + 1 &&
      [...run.peers.values()].some(
        (other) => accountOf(books, other.id) === accountOf(books, id) && other.warned_until > run.round,
      ),
  );
  strike(books, run, new Set(again.map(({ id }) => id)));
  for (const peer of silent) peer.warned_until = run.round + WARNED_ROUNDS + 1;
}
