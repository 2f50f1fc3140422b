// Verdicts and their outcome: judges commit (seal) their verdicts before anybody reveals one, and the stake behind the verdicts decides.
// panel.ts says who judges, appeal.ts what happens where judges disagree.
import { hashOfStrict } from '../../protocol/strict-cbor-encode.ts';
import { refusalOfNumbers } from '../events/fields.ts';
import type { PlantRevealed } from '../events/plant-revealed.ts';
import type { VerdictGiven } from '../events/verdict-given.ts';
import type { VerdictSealed } from '../events/verdict-sealed.ts';
import { CORE_LIMITS } from '../limits.ts';
import { type Refusal, refuse } from '../refusal.ts';
import type { NetworkState, PeerState, RunState, Submission } from '../state.ts';
import { accountOf } from '../state.ts';
import { verdictStakes, wholeStake } from './verdict-stakes.ts';

/** The commitment (seal) to a whole verdict, bound to its author, so that a copied seal is worthless. */
export function sealOf(validator: string, verdict: VerdictGiven): string {
  return hashOfStrict(['potluck-verdict-v1', validator, verdict]);
}

/** The pledge of a planted submission: a hash of the right verdict, which its owner reveals later. */
export function pledgeOf(owner: string, salt: string, accepted: boolean): string {
  return hashOfStrict(['potluck-plant-v1', owner, salt, accepted]);
}

/** Whether a validator may commit (seal) a verdict now. */
export function refusalOfSeal(run: RunState, author: string, body: VerdictSealed): Refusal | null {
  const known = refusalOfJudge(run, author, body.submission);
  if (known) return known;
  const { judges, seals } = run.submissions.get(body.submission)!;
  if (seals.has(author)) return refuse('already-judged', `${author} has judged ${body.submission}`);
  if (run.phase !== 'judging' || run.draw === null) {
    return refuse('wrong-phase', `verdicts are sealed when the judges of a round are drawn, the run is ${run.phase}`);
  }
  if (!judges.includes(author)) return refuse('not-assigned', `${author} was not drawn to judge ${body.submission}`);
  return refusalOfInstance(run, body);
}

/** Whether a validator may reveal a verdict now: only the one that it committed to. */
export function refusalOfVerdict(run: RunState, author: string, body: VerdictGiven): Refusal | null {
  const known = refusalOfJudge(run, author, body.submission);
  if (known) return known;
  const submission = run.submissions.get(body.submission)!;
  if (submission.verdicts.has(author)) return refuse('already-judged', `${author} has judged ${body.submission}`);
  if (run.phase !== 'revealing') {
    return refuse('wrong-phase', `verdicts are shown when all are sealed, the run is ${run.phase}`);
  }
  if (run.appeals && submission.first === null) {
    return refuse('wrong-phase', `${body.submission} is decided: only what was appealed is judged again`);
  }
  const seal = submission.seals.get(author);
  if (seal === undefined) return refuse('not-sealed', `${author} has sealed no verdict on ${body.submission}`);
  return refusalOfInstance(run, body) ?? refusalOfContent(run, author, body, seal, submission.body.amount);
}

/** Checks that a verdict is the committed one, and does not contradict itself. */
export function refusalOfContent(
  { spec }: RunState,
  author: string,
  body: VerdictGiven,
  seal: string,
  amount: number,
): Refusal | null {
  const found = sealOf(author, body);
  if (found !== seal) return refuse('wrong-seal', `expected the verdict whose seal is ${seal}, got one with ${found}`);
  if (body.weight > amount) {
    return refuse('bad-verdict', `weight: at most the amount of ${amount} claimed, got ${body.weight}`);
  }
  if (body.accepted !== body.weight > 0 || (body.accepted && body.fraud)) {
    return refuse('bad-verdict', 'accepted work has a weight and is not fraud; refused work has no weight');
  }
  return refusalOfNumbers(body.numbers, spec.numbers.verdict);
}

/** A verdict of the first judging does not count in the appeal. */
function refusalOfInstance(run: RunState, body: VerdictSealed | VerdictGiven): Refusal | null {
  const { submission } = body;
  const appeal = body.appeal ?? false;
  const appealed = run.submissions.get(submission)!.first !== null;
  if (appealed === appeal) return null;
  const [expected, got] = [appealed, appeal].map((second) => (second ? 'the appeal' : 'the first judging'));
  return refuse('wrong-phase', `expected a verdict of ${expected} of ${submission}, got one of ${got}`);
}

function refusalOfJudge(run: RunState, author: string, id: string): Refusal | null {
  if (run.peers.get(author)?.role !== 'validator')
    return refuse('not-a-validator', `${author} is not a validator here`);
  return run.submissions.has(id) ? null : refuse('unknown-submission', `no submission ${id} in the open round`);
}

/** Whether the owner may reveal now that a submission was planted. */
export function refusalOfPlant(run: RunState, author: string, body: PlantRevealed): Refusal | null {
  if (author !== run.owner) return refuse('not-the-owner', `only the owner ${run.owner} may do this, got ${author}`);
  const judged = run.last_judged.get(body.submission);
  if (!judged) {
    return refuse('unknown-submission', `no submission ${body.submission} in the round that was merged last`);
  }
  if (judged.pledge !== pledgeOf(author, body.salt, body.accepted)) {
    return refuse('wrong-seal', `the pledge ${judged.pledge} of ${body.submission} opens to something else`);
  }
  return null;
}

export type Judgement = 'accepted' | 'refused' | 'fraud' | 'none';

/**
 * The stake of everybody with a seat, and the parts of it that spoke, accepted, or found fraud. Devices of the worker's own account count
 * only where they speak: otherwise they could stay away, and protect the worker by that.
 */
export function stakesOfVerdicts(
  state: NetworkState,
  run: RunState,
  seats: readonly string[],
  { worker, verdicts }: Pick<Submission, 'worker' | 'verdicts'>,
): Record<'seated' | 'spoken' | 'accepted' | 'fraud', bigint> {
  const own = accountOf(state, worker);
  const seated = seats.filter((id) => verdicts.has(id) || accountOf(state, id) !== own);
  const whole = wholeStake(state, run, seated);
  const sum = { seated: whole.stake, spoken: 0n, accepted: 0n, fraud: 0n };
  for (const [validator, stake] of verdictStakes(state, run, [...verdicts.keys()], whole)) {
    const { accepted, fraud } = verdicts.get(validator)!;
    sum.spoken += stake;
    if (accepted) sum.accepted += stake;
    if (fraud) sum.fraud += stake;
  }
  return sum;
}

/** The validators whose stake decides an appeal, and any finding of fraud: all who have a seat, or the drawn jury where those are too many. */
const seatsOf = ({ eligible }: RunState, { first, judges }: Submission): readonly string[] =>
  first !== null && eligible.length > CORE_LIMITS.jury ? judges : eligible;

/**
 * What the stake behind the verdicts decides; a tie refuses. More than half of those who speak decide about work that is not appealed. More
 * than half of the whole jury decide an appeal, and any finding of fraud: silent and absent judges count against it, so that a few who speak
 * while the others still check cannot take anything from anybody. A jury that mostly stays silent has decided nothing.
 */
export function judgementOf(state: NetworkState, run: RunState, submission: Submission): Judgement {
  const { verdicts, first } = submission;
  if (verdicts.size === 0) return 'none';
  const { seated, spoken, accepted, fraud } = stakesOfVerdicts(state, run, seatsOf(run, submission), submission);
  if (first !== null && spoken * 2n <= seated) return 'none';
  if (accepted * 2n > (first === null ? spoken : seated)) return 'accepted';
  return fraud * 2n > seated ? 'fraud' : 'refused';
}

/**
 * The submissions that the round's merge must take, in canonical order (by event id), with their weights (amounts).
 * If a validator revealed a verdict in this round, verdicts decide, and work without one is left out. If none did, because no validator is
 * present or those present stay silent, the work is merged but earns nothing: silent validators delay a run and do not stop it. Where the
 * rules name validators and one is present, that holds only for workers with a record, because a newcomer might be anybody.
 */
export function acceptedSubmissions(
  state: NetworkState,
  run: RunState,
): { submission: Submission; verified: boolean }[] {
  const judged = [...run.submissions.values()].some(({ verdicts }) => verdicts.size > 0);
  return [...run.submissions.values()]
    .map((submission) => ({ submission, judgement: judgementOf(state, run, submission) }))
    .filter(({ submission: { worker }, judgement }) => {
      if (judgement !== 'none') return judgement === 'accepted';
      const unguarded = run.rules.validators.length === 0 || run.eligible.length === 0;
      return !judged && (unguarded || run.peers.get(worker)!.consecutive_valid > 0);
    })
    .map(({ submission, judgement }) => ({ submission, verified: judgement === 'accepted' }))
    .sort((a, b) => (a.submission.id < b.submission.id ? -1 : 1));
}

/** The ids of the submissions that the round's merge must take, in canonical order. */
export const acceptedIds = (state: NetworkState, run: RunState): string[] =>
  acceptedSubmissions(state, run).map(({ submission }) => submission.id);

/** Remembers the verdicts of the round being merged, for plants revealed after it. A judge that was only to check the form is not tested. */
export function rememberVerdicts(run: RunState): void {
  run.last_judged = new Map(
    [...run.submissions.values()].map(({ id, body, first, duties, verdicts }) => {
      const tried = [...verdicts].filter(([judge]) => first !== null || duties.get(judge) !== 'form');
      return [id, { pledge: body.pledge, verdicts: new Map(tried.map(([judge, { accepted }]) => [judge, accepted])) }];
    }),
  );
}

/** The validators that misjudged a planted submission; it is forgotten, so that nobody is punished twice. */
export function openPlant(
  run: RunState,
  body: PlantRevealed,
): { readonly right: PeerState[]; readonly wrong: PeerState[] } {
  const { verdicts } = run.last_judged.get(body.submission)!;
  run.last_judged.delete(body.submission);
  const peersWho = (right: boolean): PeerState[] =>
    [...verdicts].filter(([, said]) => (said === body.accepted) === right).map(([id]) => run.peers.get(id)!);
  return { right: peersWho(true), wrong: peersWho(false) };
}
