// Explains why a submission earned what it earned: replays the log, and gives every number with its origin.

import type { RunCreated } from '../core/events/run-created.ts';
import type { VerdictGiven } from '../core/events/verdict-given.ts';
import type { WorkSubmitted } from '../core/events/work-submitted.ts';
import type { LoggedEvent } from '../core/events.ts';
import { foundByJury } from '../core/rounds/contest.ts';
import { acceptedSubmissions, judgementOf } from '../core/rounds/judging.ts';
import { givesUpRound } from '../core/rounds/run-life.ts';
import { lockedBehind, stakeOf } from '../core/rounds/verdict-stakes.ts';
import { royaltyOf } from '../core/shares/lineage.ts';
import { roundPayout } from '../core/shares/payout.ts';
import { emissionOf, PAY_PARTS, type PayClaim, type Payout, partsOf } from '../core/shares/shares.ts';
import { accountOf, type DecidedWork, type NetworkState, type Phase, type RunState } from '../core/state.ts';
import { LookupError } from './errors.ts';
import type { PublicLog } from './public-log.ts';
import { readerWarning } from './reader-warning.ts';
import { replayWithPool } from './shares.ts';

/** One claim to a part of a round's shares, and how it was rounded. */
export interface Claim extends PayClaim {
  /** The submission or the validator that the claim comes from. */
  readonly from: string;
  /** floor(part · weight / all weights), and the remainder of that division. */
  readonly whole: number;
  readonly remainder: number;
  /** Whether it got one of the shares that rounding down left over. */
  readonly extra: boolean;
  readonly shares: number;
}

/** A part of a round's shares, divided: the claims add up to `shares`, or there are none and nobody earned it. */
export interface DividedPart {
  readonly shares: number;
  readonly all_weights: number;
  readonly claims: readonly Claim[];
}

export interface RoundArithmetic {
  readonly emitted: number;
  /** What flows to the holders of the model that the run started from. */
  readonly ancestors: DividedPart;
  readonly owner: DividedPart;
  /** Weights are what validators agree to vouch for, as parts of 2^32 of the whole round (Yuma consensus). */
  readonly workers: DividedPart;
  readonly validators: DividedPart;
  readonly unearned: number;
}

export type Decision =
  /** In the model. `verified`: validators accepted it; without their verdicts it is merged but earns nothing. */
  | { readonly kind: 'merged'; readonly index: number; readonly model: string; readonly verified: boolean }
  | { readonly kind: 'refused'; readonly index: number; readonly model: string }
  /** The owner paused or ended the run while the round was open. */
  | { readonly kind: 'paused' | 'ended'; readonly index: number }
  /** The log ends before the round does. */
  | { readonly kind: 'open'; readonly phase: Phase };

/** What a peer lost of its recent earnings. */
export interface Loss {
  readonly peer: string;
  readonly name: string;
  readonly account: string;
  readonly shares: number;
  /** How many of them were locked behind it. */
  readonly locked: number;
}

/** The owner's statement after the round that it had planted the submission, and what that meant for its judges. */
export interface RevealedPlant {
  readonly index: number;
  /** The right verdict. */
  readonly accepted: boolean;
  readonly right: readonly { readonly peer: string; readonly name: string }[];
  readonly wrong: readonly Loss[];
}

/** A contest of the decision, and the verdicts of its jury. */
export interface ContestTold {
  /** The event that opened it, and who signed it. */
  readonly index: number;
  readonly by: string;
  readonly name: string;
  verdicts: readonly { readonly validator: string; readonly name: string; readonly verdict: VerdictGiven }[];
  /** The merge that ended it; null while it is open. */
  ended: number | null;
  /** The finding of more than half of the jury's stake; null for no finding, and while it is open. */
  found: 'accepted' | 'fraud' | null;
  taken_back: boolean;
  /** What its worker lost by it, or got back. */
  shares: number;
}

export interface Explanation {
  readonly submission: string;
  readonly index: number;
  readonly run: string;
  readonly run_name: string;
  readonly worker: string;
  readonly worker_name: string;
  readonly account: string;
  readonly work: WorkSubmitted;
  readonly verdicts: readonly {
    readonly index: number;
    readonly validator: string;
    readonly name: string;
    readonly verdict: VerdictGiven;
    /** The stake behind its verdict: by the rules, and in shares that were locked behind it before the round opened. */
    readonly stake: { readonly by_rules: number; readonly locked: number };
  }[];
  readonly decision: Decision;
  /** What its numbers are, in the game's words, and what all work is counted in. */
  readonly unit: string;
  readonly numbers: RunCreated['numbers'];
  /** The amount of all merged work of the round, where the work was merged. */
  readonly merged_amount: number | null;
  readonly round: RoundArithmetic | null;
  /** What the submission earned. */
  readonly shares: number;
  /** What its account held in the run after the round; null while the round is open. */
  readonly held_after: number | null;
  /** What its worker lost of earlier earnings because this work was made up; null where it was not. */
  readonly lost: Loss | null;
  readonly plant: RevealedPlant | null;
  readonly contests: readonly ContestTold[];
  /** That the hub's clock is ahead of the reader's, or that the run goes on elsewhere; null where neither is so. */
  readonly warning: string | null;
}

type Found = { -readonly [Field in keyof Explanation]: Explanation[Field] } & {
  verdicts: Explanation['verdicts'][number][];
};

/**
 * Explains the submission whose event id begins with `wanted`, from the log alone.
 * Throws LookupError `no-such-submission`, AuditFailure, PublicLogError.
 */
export async function explainSubmission(log: PublicLog, wanted: string, now_ms = Date.now()): Promise<Explanation> {
  let found: Found | null = null;
  /** The decision of a merge, a pause or an end, before the core has accepted the event. */
  let decided: Partial<Explanation> | null = null;
  let forfeited: ReadonlyMap<string, number> = new Map();
  let heard: HeardContest | null = null;
  const also: string[] = [];
  const elsewhere = new Set<string>();

  const { state } = await replayWithPool(log, {
    before(event, index, before) {
      heard = found && heardBy(found, event, before);
      decided = found && (decideOn(found, event, index, before) ?? plantOf(found, event, index, before));
      forfeited = new Map(
        lossesIn(decided).map(({ peer }) => [peer, before.runs.get(found!.run)!.peers.get(peer)!.forfeited_shares]),
      );
    },
    after(event, index, after) {
      if (event.body.type === 'work.submitted' && event.id.startsWith(wanted)) {
        if (found) also.push(event.id);
        else found = submissionOf(event, index, after);
      }
      if (event.body.type === 'run.arrived') elsewhere.add(event.body.url);
      if (!found) return;
      found.contests = withContest(found, event, index, after, heard);
      const { author: validator, body: verdict } = event;
      const isOfItsRound = verdict.type === 'verdict.given' && verdict.contest === undefined;
      if (isOfItsRound && verdict.submission === found.submission) {
        const run = after.runs.get(found.run)!;
        const stake = { by_rules: 0, locked: 0 };
        found.verdicts.push({ index, validator, name: run.peers.get(validator)!.name, verdict, stake });
        found.verdicts = weighed(after, run, found.verdicts);
      }
      if (decided) {
        const peers = after.runs.get(found.run)!.peers;
        for (const loss of lossesIn(decided))
          loss.shares = peers.get(loss.peer)!.forfeited_shares - forfeited.get(loss.peer)!;
        Object.assign(found, decided);
        if (found.round && decided.round) found.held_after = after.runs.get(found.run)!.shares.get(found.account) ?? 0;
      }
    },
  });
  const result = found as Found | null;
  if (!result || also.length > 0) {
    const ids = result ? [result.submission, ...also].map((id) => id.slice(0, 12)).slice(0, 8) : [];
    const there = ids.length > 0 ? `these do: ${ids.join(', ')}` : 'none does';
    const before =
      elsewhere.size > 0 ? ` (runs came here from ${[...elsewhere].join(', ')}: earlier work is there)` : '';
    const message = `expected one submission whose id begins with "${wanted}"; of ${state.events} events, ${there}${before}`;
    throw new LookupError('no-such-submission', message);
  }
  result.warning = readerWarning(state, state.runs.get(result.run)!, now_ms);
  if (result.decision.kind === 'open') result.decision = { kind: 'open', phase: state.runs.get(result.run)!.phase };
  return result;
}

function submissionOf(event: LoggedEvent, index: number, state: NetworkState): Found {
  const body = event.body as WorkSubmitted;
  const run = state.runs.get(body.run)!;
  return {
    submission: event.id,
    index,
    run: run.id,
    run_name: run.spec.name,
    worker: event.author,
    worker_name: run.peers.get(event.author)!.name,
    account: accountOf(state, event.author),
    work: body,
    verdicts: [],
    decision: { kind: 'open', phase: run.phase },
    unit: run.spec.unit,
    numbers: run.spec.numbers,
    merged_amount: null,
    round: null,
    shares: 0,
    held_after: null,
    lost: null,
    plant: null,
    contests: [],
    warning: null,
  };
}

/** Verdicts with their weights: an account's stake by the rules is divided among its devices that have spoken. */
function weighed(state: NetworkState, run: RunState, verdicts: Found['verdicts']): Found['verdicts'] {
  const accounts = verdicts.map(({ validator }) => accountOf(state, validator));
  return verdicts.map((entry, i) => {
    const devices = accounts.filter((account) => account === accounts[i]).length;
    const by_rules = stakeOf(run, accounts[i]) / devices;
    return { ...entry, stake: { by_rules, locked: lockedBehind(run, entry.validator) } };
  });
}

/** A contest that a merge may end: its jury's finding, and what its worker had lost before. */
interface HeardContest {
  readonly found: ContestTold['found'];
  readonly was: DecidedWork['found'];
  readonly forfeited: number;
}

function heardBy(
  { run: id, submission, worker }: Found,
  { body }: LoggedEvent,
  state: NetworkState,
): HeardContest | null {
  if (body.type !== 'round.merged' || body.run !== id) return null;
  const run = state.runs.get(id)!;
  const contest = run.contests.get(submission);
  if (!contest) return null;
  const work = run.decided.get(submission)!;
  const { forfeited_shares: forfeited } = run.peers.get(worker)!;
  return { found: foundByJury(state, run, contest, work), was: work.found, forfeited };
}

/** The submission's contests after one more event. */
function withContest(
  { contests, run: id, submission, worker }: Found,
  { author: by, body }: LoggedEvent,
  index: number,
  state: NetworkState,
  heard: HeardContest | null,
): readonly ContestTold[] {
  const run = state.runs.get(id)!;
  const nameOf = (peer: string): string => run.peers.get(peer)!.name;
  if (body.type === 'verdict.contested' && body.submission === submission) {
    const open = { verdicts: [], ended: null, found: null, taken_back: false, shares: 0 };
    return [...contests, { index, by, name: nameOf(by), ...open }];
  }
  const last = contests.at(-1);
  if (!last || last.ended !== null) return contests;
  const others = contests.slice(0, -1);
  if (body.type === 'verdict.given' && body.submission === submission && body.contest !== undefined) {
    const verdicts = [...last.verdicts, { validator: by, name: nameOf(by), verdict: body }];
    return [...others, { ...last, verdicts }];
  }
  if (run.contests.has(submission)) return contests;
  // A run that is over has dropped the submission, unless a merge decided it.
  const { found = null, was = null, forfeited = 0 } = heard ?? {};
  const taken_back = found !== null && found !== was;
  const shares = taken_back ? Math.abs(run.peers.get(worker)!.forfeited_shares - forfeited) : 0;
  return [...others, { ...last, ended: index, found, taken_back, shares }];
}

/** Those who may lose something by the decision; how much is known only after it. */
function lossesIn(decided: Partial<Explanation> | null): { -readonly [Field in keyof Loss]: Loss[Field] }[] {
  return [...(decided?.plant?.wrong ?? []), ...(decided?.lost ? [decided.lost] : [])];
}

/** What a peer is about to lose, except the amount. */
function lossOf(state: NetworkState, run: RunState, peer: string): Loss {
  const locked = run.locks.reduce((sum, { device, shares }) => (device === peer ? sum + shares : sum), 0);
  return { peer, name: run.peers.get(peer)!.name, account: accountOf(state, peer), shares: 0, locked };
}

/** What the owner's reveal of the submission says about its judges. */
function plantOf(found: Found, { body }: LoggedEvent, index: number, state: NetworkState): Partial<Explanation> | null {
  if (body.type !== 'plant.revealed' || body.submission !== found.submission) return null;
  const run = state.runs.get(found.run)!;
  const judges = [...(run.last_judged.get(found.submission)?.verdicts ?? [])].map(([peer, said]) => {
    return { ...lossOf(state, run, peer), said };
  });
  const { accepted } = body;
  const right = judges.filter(({ said }) => said === accepted).map(({ peer, name }) => ({ peer, name }));
  const wrong = judges.filter(({ said }) => said !== accepted).map(({ said: _, ...loss }) => loss);
  return { plant: { index, accepted, right, wrong } };
}

/** What an event that ends the submission's round means for the submission. */
function decideOn(found: Found, event: LoggedEvent, index: number, state: NetworkState): Partial<Explanation> | null {
  const { body } = event;
  if ((body.type !== 'round.merged' && !givesUpRound(body)) || body.run !== found.run) return null;
  const run = state.runs.get(found.run)!;
  if (!run.submissions.has(found.submission)) return null;
  if (givesUpRound(body)) return { decision: { kind: body.type === 'run.paused' ? 'paused' : 'ended', index } };
  const accepted = acceptedSubmissions(state, run);
  const own = accepted.find(({ submission }) => submission.id === found.submission);
  const { model } = body;
  if (!own) {
    const made_up = judgementOf(state, run, run.submissions.get(found.submission)!) === 'fraud';
    return {
      decision: { kind: 'refused', index, model },
      round: body.bundle === null ? null : arithmeticOf(state, run),
      lost: made_up ? lossOf(state, run, found.worker) : null,
    };
  }
  const round = arithmeticOf(state, run);
  return {
    account: accountOf(state, found.worker),
    decision: { kind: 'merged', index, model, verified: own.verified },
    merged_amount: accepted.reduce((sum, { submission }) => sum + submission.body.amount, 0),
    round,
    shares: round.workers.claims.find(({ from }) => from === found.submission)?.shares ?? 0,
  };
}

/** The division of a round that is about to be merged, step by step, checked against the core's own. */
export function arithmeticOf(state: NetworkState, run: RunState): RoundArithmetic {
  const { emission } = run.rules;
  const { workers, validators, payouts, unearned } = roundPayout(state, run);
  const royalty = royaltyOf(run);
  const parts = partsOf(emission, run.round, royalty.permille);
  const account = accountOf(state, run.owner);
  const submissionOf = new Map([...run.submissions.values()].map(({ id, worker }) => [worker, id]));
  const arithmetic: RoundArithmetic = {
    emitted: emissionOf(emission, run.round),
    ancestors: dividePart(
      parts.ancestors,
      royalty.holders.map((claim) => ({ ...claim, from: run.lineage!.run })),
    ),
    owner: dividePart(parts.owner, [{ id: account, account, weight: 1, from: run.owner }]),
    workers: dividePart(
      parts.workers,
      workers.map((claim) => ({ ...claim, from: submissionOf.get(claim.id)! })),
    ),
    validators: dividePart(
      parts.validators,
      validators.map((claim) => ({ ...claim, from: claim.id })),
    ),
    unearned,
  };
  checkAgainstCore(arithmetic, payouts, run);
  return arithmetic;
}

/** Hamilton's method with its steps shown; the outcome equals the core's `divide`. */
function dividePart(shares: number, claimants: readonly (PayClaim & { from: string })[]): DividedPart {
  const all_weights = claimants.reduce((sum, { weight }) => sum + weight, 0);
  if (all_weights === 0) return { shares, all_weights, claims: [] };
  const exact = claimants.map((claimant) => {
    const product = BigInt(shares) * BigInt(claimant.weight);
    const whole = Number(product / BigInt(all_weights));
    return { ...claimant, whole, remainder: Number(product % BigInt(all_weights)) };
  });
  const left = shares - exact.reduce((sum, { whole }) => sum + whole, 0);
  const byRemainder = exact.toSorted((a, b) => b.remainder - a.remainder || (a.id < b.id ? -1 : 1));
  const lucky = new Set(byRemainder.slice(0, left));
  const claims = exact.map((claim) => {
    const extra = lucky.has(claim);
    return { ...claim, extra, shares: claim.whole + (extra ? 1 : 0) };
  });
  return { shares, all_weights, claims };
}

/** What is shown must equal what is paid: a difference is a bug in this program. */
function checkAgainstCore(shown: RoundArithmetic, payouts: readonly Payout[], run: RunState): void {
  for (const part of PAY_PARTS) {
    const paid = payouts.filter((payout) => payout.part === part && payout.shares > 0);
    const claims = shown[part].claims.filter(({ shares }) => shares > 0);
    const same = paid.every(({ id, shares }) => claims.some((claim) => claim.id === id && claim.shares === shares));
    if (paid.length !== claims.length || !same) {
      throw new Error(`the explanation of round ${run.round} of run ${run.id} is not what the core paid`);
    }
  }
}
