// An explanation of a submission's pay in plain sentences, each number beside its origin.
import type { VerdictGiven } from '../core/events/verdict-given.ts';
import { wordsOfNumbers } from '../protocol/measures.ts';
import { nameOf } from '../protocol/shown-name.ts';
import type { DividedPart, Explanation, Loss, RoundArithmetic } from './why.ts';

const number = (value: number): string => value.toLocaleString('en-US');
const micro = (value: number): string => (value / 1e6).toFixed(6);
const short = (id: string): string => id.slice(0, 12);

/** The whole explanation, line by line. */
export function sentencesOf(why: Explanation): string[] {
  return [
    ...handedIn(why),
    '',
    ...judged(why),
    '',
    ...decided(why),
    '',
    ...paid(why),
    ...consequences(why),
    ...contested(why),
    ...warned(why),
  ];
}

const warned = ({ warning }: Explanation): string[] => (warning ? ['', `Warning: ${warning}.`] : []);

/** What it cost somebody, beside what it earned. */
function consequences({ lost, plant }: Explanation): string[] {
  const lines: string[] = [];
  if (lost) {
    lines.push(
      '',
      `It was made up: ${nameOf(lost.name)} (${short(lost.peer)}) ${whatWasLost(lost)}, and its record starts over.`,
    );
  }
  if (!plant) return lines;
  const { index, accepted, right, wrong } = plant;
  const should = accepted ? 'good work, which judges must accept' : 'bad work, which judges must refuse';
  lines.push('', `The run's owner had planted it to see who looks: it was ${should} (event ${index}).`);
  for (const { peer, name } of right) lines.push(`${nameOf(name)} (${short(peer)}) judged it rightly.`);
  for (const loss of wrong) {
    const { peer, name, account } = loss;
    const did = accepted ? 'refused' : 'accepted';
    lines.push(
      `${nameOf(name)} (${short(peer)}) ${did} it, and ${whatWasLost(loss)} for account ${short(account)}; they went back to the run.`,
    );
  }
  return lines;
}

/** The contests of the decision, and their outcome. */
function contested({ contests, worker_name }: Explanation): string[] {
  return contests.flatMap(({ index, by, name, verdicts, ended, found, taken_back, shares }) => {
    const words = verdicts.map(({ name: judge, validator, verdict }) => {
      const said = verdict.accepted ? 'accepts it' : verdict.fraud ? 'finds it made up' : 'refuses it';
      return `  ${nameOf(judge)} (${short(validator)}) ${said} (${verdict.code}).`;
    });
    const head = `${nameOf(name)} (${short(by)}) contested this decision (event ${index}): everybody who may judge repeats it.`;
    return ['', head, ...words, outcome()];
    function outcome(): string {
      if (ended === null) return 'Nothing is decided about that yet.';
      if (found === null)
        return `Not more than half of the jury's stake said the same (event ${ended}): nothing changed.`;
      const what = found === 'fraud' ? 'found it made up' : 'accepted it';
      const heard = `More than half of the jury's stake ${what} (event ${ended})`;
      if (!taken_back) return `${heard}: the decision stands, and ${nameOf(name)} lost its last pay.`;
      const moved = found === 'fraud' ? 'lost' : 'got back';
      return `${heard}: the decision is taken back, and ${nameOf(worker_name)} ${moved} ${number(shares)} shares.`;
    }
  });
}

function whatWasLost({ shares, locked }: Loss): string {
  const earned = `lost the ${number(shares - locked)} shares that it had earned recently`;
  return locked > 0 ? `${earned} and the ${number(locked)} that were locked behind it` : earned;
}

function handedIn({
  submission,
  index,
  run,
  run_name,
  worker,
  worker_name,
  work,
  unit,
  numbers,
}: Explanation): string[] {
  const told = wordsOfNumbers(numbers.work, work.numbers);
  return [
    `Submission ${submission}`,
    `was handed in by ${nameOf(worker_name)} (${short(worker)}) for round ${work.round} of run ${short(run)}, "${nameOf(run_name)}": event ${index} of the log.`,
    `It is ${number(work.amount)} ${nameOf(unit)} in ${number(work.size_bytes)} bytes, on model ${short(work.base)}${told && `; its worker says: ${told}`}.`,
  ];
}

function judged({ verdicts, work, unit, numbers }: Explanation): string[] {
  if (verdicts.length === 0) return ['Nobody judged it.'];
  return verdicts.map(({ index, validator, name, verdict, stake }) => {
    const refused = verdict.fraud ? 'refused it as made up' : 'refused it';
    const said = verdict.accepted
      ? `accepted it, vouching for ${number(verdict.weight)} of its ${number(work.amount)} ${nameOf(unit)}`
      : refused;
    const behind =
      stake.locked > 0
        ? ` Behind its verdict stands a stake of ${number(stake.by_rules + stake.locked)}: ${number(stake.by_rules)} by the rules, ${number(stake.locked)} in locked shares.`
        : '';
    return `${nameOf(name)} (${short(validator)}) ${said}, "${verdict.code}", ${measured(verdict, numbers)} (event ${index}).${behind}`;
  });
}

/** A judge that refuses before measuring, or has no duty to look, measures nothing. */
function measured({ score_micro, numbers }: VerdictGiven, named: Explanation['numbers']): string {
  const found = wordsOfNumbers(named.verdict, numbers);
  return found === '' ? 'without measuring what the work does' : `with a score of ${micro(score_micro)}: ${found}`;
}

function decided({ decision, submission, verdicts, work, unit, merged_amount }: Explanation): string[] {
  const yes = verdicts.filter(({ verdict }) => verdict.accepted).length;
  const votes = `${yes} of ${verdicts.length} ${verdicts.length === 1 ? 'verdict accepts' : 'verdicts accept'} it${stakeOfYes(verdicts)}`;
  switch (decision.kind) {
    case 'merged': {
      const weight = `There it weighs ${number(work.amount)} of ${number(merged_amount!)} ${nameOf(unit)}.`;
      const why = decision.verified
        ? `${votes}, more than half: it was merged.`
        : 'No validator gave a verdict in this round, so nobody had judged it: it was merged, but earns nothing.';
      return [why, `Event ${decision.index} made model ${short(decision.model)} of it. ${weight}`];
    }
    case 'refused':
      if (verdicts.length === 0) {
        return [
          `Validators judged work of this round, but none had judged it in time: it was not merged (event ${decision.index}).`,
        ];
      }
      return [
        `${votes}, but more than half is needed: it was not merged (event ${decision.index}).`,
        `Whoever doubts that can judge it again: potluck recheck ${submission.slice(0, 16)}`,
      ];
    case 'paused':
    case 'ended':
      return [
        `The owner ${decision.kind} the run (event ${decision.index}) before the round was merged: its work was dropped.`,
      ];
    case 'open':
      return [`Nothing is decided yet: the run is ${decision.phase}.`];
  }
}

/** Where the weights of verdicts differ, counting verdicts says little. */
function stakeOfYes(verdicts: Explanation['verdicts']): string {
  const weights = verdicts.map(({ verdict, stake }) => ({ ...verdict, weight: stake.by_rules + stake.locked }));
  if (new Set(weights.map(({ weight }) => weight)).size < 2) return '';
  const sum = (list: typeof weights): number => list.reduce((all, { weight }) => all + weight, 0);
  return `, with ${number(sum(weights.filter(({ accepted }) => accepted)))} of a stake of ${number(sum(weights))}`;
}

function paid(why: Explanation): string[] {
  const { decision, round, account, shares, held_after, submission, work } = why;
  if (decision.kind === 'open') return ['Shares are paid when the round is merged.'];
  if (!round) return ['Nothing was merged in that round, so nothing was paid.'];
  const lines = promised(round, work.round);
  const own = round.workers.claims.find(({ from }) => from === submission);
  if (!own) {
    const reason = decision.kind === 'merged' ? 'only verified work has a claim' : 'only merged work has a claim';
    return [...lines, ...listed(round.workers, submission), `This submission earned 0 shares: ${reason}.`];
  }
  const { all_weights } = round.workers;
  const exact = `${number(round.workers.shares)} × ${number(own.weight)} / ${number(all_weights)} = ${number(own.whole)}`;
  const left = round.workers.claims.filter(({ extra }) => extra).length;
  lines.push(
    `The workers' part is divided by what the validators' stake agrees to vouch for (Yuma consensus, in parts of 2^32): ${number(own.weight)} of ${number(all_weights)} are this submission's.`,
    own.remainder === 0
      ? `${exact} exactly.`
      : `${exact} and ${number(own.remainder)}/${number(all_weights)} over. Rounding down left ${number(left)} ${left === 1 ? 'share' : 'shares'} for the largest remainders; this is ${own.extra ? 'one of them, so it gets one more' : 'none of them'}.`,
    ...listed(round.workers, submission),
    `This submission earned ${number(shares)} shares for account ${short(account)}, which then held ${number(held_after!)} in this run.`,
  );
  return lines;
}

function promised(
  { emitted, ancestors, owner, workers, validators, unearned }: RoundArithmetic,
  round: number,
): string[] {
  const royalty = ancestors.shares > 0 ? `${number(ancestors.shares)} to its ancestor's holders + ` : '';
  const parts = `${royalty}${number(owner.shares)} to the owner + ${number(workers.shares)} to the workers + ${number(validators.shares)} to the validators`;
  const lines = [`Round ${round} promised ${number(emitted)} shares = ${parts}.`];
  if (ancestors.shares > 0) {
    const [{ from }] = ancestors.claims;
    lines.push(
      `The run started from a model of run ${short(from)}: that part is divided among the ${number(ancestors.claims.length)} who held shares of it, by what the hub stated there.`,
    );
  }
  if (unearned > 0) lines.push(`${number(unearned)} of them nobody earned; they stay with the run.`);
  return lines;
}

/** Every claim of a part, so that anybody can add them up. */
function listed({ shares, claims }: DividedPart, own: string): string[] {
  if (claims.length === 0) return [];
  const rows = claims.map(
    ({ id, from, weight, shares: got }) =>
      `  ${number(got).padStart(15)}  ${short(id)}  for ${number(weight)} parts${from === own ? '  ← this submission' : ''}`,
  );
  return [...rows, `  ${number(shares).padStart(15)}  together`];
}
