// The invariants of contestable decisions and of contests, checked after every event.

import { CORE_LIMITS } from '../limits.ts';
import type { DecidedWork, RunState } from '../state.ts';
import { contestRounds } from './contest.ts';

const short = (id: string): string => id.slice(0, 8);

export function* contestProblems(run: RunState): Generator<string, void> {
  if (run.phase === 'finished' && run.decided.size + run.contests.size > 0) yield 'it is over, and may be contested';
  const credited = new Map<string, number>();
  const lost = new Map<string, number>();
  const add = (sums: Map<string, number>, id: string, amount: number) => sums.set(id, (sums.get(id) ?? 0) + amount);
  for (const [id, work] of run.decided) {
    yield* decidedProblems(run, id, work);
    if (work.found === 'accepted') add(credited, work.account, work.amount);
    for (const { shares } of work.lost) add(lost, work.worker, shares);
  }
  for (const [account, amount] of credited) {
    if (amount > (run.amounts.get(account) ?? 0))
      yield `${short(account)} can lose ${amount} ${run.spec.unit}, more than it has`;
  }
  for (const [worker, shares] of lost) {
    if (shares > run.peers.get(worker)!.forfeited_shares) yield `${short(worker)} can get back more than it lost`;
  }
  const authors = new Set([...run.contests.values()].map(({ by }) => by));
  if (authors.size < run.contests.size) yield 'somebody contests twice';
  if (run.contests.size > CORE_LIMITS.open_contests) yield `${run.contests.size} decisions are contested`;
  for (const [id, { by, judges, seals, verdicts }] of run.contests) {
    if (!run.decided.has(id) || !run.peers.has(by)) yield `${short(by)} contests ${short(id)}, which nobody decided`;
    if (judges.length > CORE_LIMITS.jury || judges.some((judge, i) => i > 0 && judges[i - 1] >= judge)) {
      yield `the jury of ${short(id)} is not in order`;
    }
    for (const judge of seals.keys()) if (!judges.includes(judge)) yield `${short(judge)} is not of the jury`;
    for (const judge of verdicts.keys()) if (!seals.has(judge)) yield `${short(judge)} has shown what it did not seal`;
  }
}

function* decidedProblems(run: RunState, id: string, work: DecidedWork): Generator<string, void> {
  const { worker, round, found, said, lost, contests } = work;
  const last = round + contestRounds(run.rules);
  if (round > run.round || (last < run.round && !run.contests.has(id))) yield `${short(id)} was decided in ${round}`;
  for (const peer of [worker, ...said]) if (!run.peers.has(peer)) yield `${short(peer)} is forgotten too soon`;
  if (run.contests.has(id) && contests === 0) yield `${short(id)} was never contested, and is`;
  const cost = lost.length > 0 || work.record > 0;
  if (found === 'accepted' ? lost.length > 0 : !cost) yield `${short(id)} (${found}) cost what it cannot`;
  if (lost.some(({ shares }, i) => shares <= 0 || (i > 0 && lost[i - 1].round > lost[i].round))) {
    yield `what ${short(worker)} lost is not in order`;
  }
}
