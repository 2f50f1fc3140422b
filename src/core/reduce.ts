// The one state machine: `refusalOf` says whether an event may follow, `apply` lets it. Total: a wrong event is a refusal, never an exception.
import { seededRandom } from '../protocol/random.ts';
import { applyAddress, refusalOfAddress } from './addresses.ts';
import { countSeal, countSubmission, countVerdict, nobody } from './attendance.ts';
import { openContest, refusalOfContest, refusalOfJurorsSeal, refusalOfJurorsVerdict, seatJuries } from './contest.ts';
import { advance, applyTick } from './deadlines.ts';
import { applyDevice, refusalOfDevice, refusalOfKey } from './devices.ts';
import { countOpening, seatValidators } from './eligible.ts';
import type { EventBody, LoggedEvent, ModelEvaluated, RunCreated, WorkSubmitted } from './events.ts';
import { nobodyForgotten } from './forgetting.ts';
import { notIdle } from './idle-rounds.ts';
import { openPlant, refusalOfPlant, refusalOfSeal, refusalOfVerdict } from './judging.ts';
import { CORE_LIMITS } from './limits.ts';
import { lineageOf, refusalOfLineage, rememberHolders } from './lineage.ts';
import { applyMerge, refusalOfMerge } from './merging.ts';
import { applyDrawn, isListOpen, noteSeal, refusalOfDrawn } from './panel.ts';
import { forfeit } from './payout.ts';
import { applyJoin, applyLeave, refusalOfJoin, refusalOfLeave } from './presence.ts';
import { type Refusal, refuse } from './refusal.ts';
import { applyHalt, noteLoss, refusalOfHalt } from './rising-loss.ts';
import { propose, refusalOfProposal } from './rule-changes.ts';
import { applyOwnersWord, refusalOfAnotherRun, refusalOfOwnersWord } from './run-life.ts';
import { applySettlement, noteBalances, refusalOfSettlement } from './settlement.ts';
import { mayStateShares, refusalOfStatement } from './share-table.ts';
import { applyLock, applyRelease, countStakes, refusalOfLock, refusalOfRelease } from './stake.ts';
import type { Lineage, NetworkState, RunState, Submission } from './state.ts';
import { accountOf, mayOpenRound, workersNeeded } from './state.ts';

/** The state machine as a value: what a hub runs on. */
export interface StateMachine {
  refusalOf(state: NetworkState, event: LoggedEvent): Refusal | null;
  apply(state: NetworkState, event: LoggedEvent): Refusal | null;
}

/** Checks an event against the state without changing it. null: it may follow. */
export function refusalOf(state: NetworkState, event: LoggedEvent): Refusal | null {
  const { body, author } = event;
  const key = refusalOfKey(state, event);
  if (key) return key;
  if (body.type === 'device.bound' || body.type === 'device.revoked') return refusalOfDevice(state, author, body);
  if (body.type === 'run.created') return refusalOfRun(state, event, body);
  if (body.type === 'account.address') return refusalOfAddress(state, author, body);
  if (body.type === 'tick') {
    if (author !== state.hub) return refuse('not-the-hub', `a tick is signed by the hub ${state.hub}, got ${author}`);
    if (body.time_ms < state.time_ms) {
      return refuse('clock-went-back', `expected a tick at or after ${state.time_ms}, got ${body.time_ms}`);
    }
    return null;
  }
  const run = state.runs.get(body.run);
  if (!run) return refuse('unknown-run', `no run ${body.run} in this log`);
  return refusalInRun(state, run, event, body);
}

function refusalOfRun(state: NetworkState, event: LoggedEvent, body: RunCreated): Refusal | null {
  if (state.runs.has(event.id)) return refuse('run-exists', `run ${event.id} is already in the log`);
  // What is over costs nobody anything, and blocks nobody.
  const going = [...state.runs.values()].filter((run) => run.phase !== 'finished');
  if (going.length >= CORE_LIMITS.runs)
    return refuse('too-many-runs', `a hub has at most ${CORE_LIMITS.runs} unfinished runs`);
  const owner = accountOf(state, event.author);
  const own = going.filter((run) => accountOf(state, run.owner) === owner).length;
  return refusalOfAnotherRun(own) ?? refusalOfLineage(state, body);
}

type BodyInRun = Extract<EventBody, { run: string }>;

function refusalInRun(state: NetworkState, run: RunState, event: LoggedEvent, body: BodyInRun): Refusal | null {
  const { author } = event;
  switch (body.type) {
    case 'run.paused':
    case 'run.resumed':
    case 'run.ended':
      return refusalOfOwnersWord(state, run, author, body);
    case 'run.halted':
      if (author !== state.hub) return refuse('not-the-hub', `a run is halted by the hub ${state.hub}, got ${author}`);
      return refusalOfHalt(run, body);
    case 'peer.joined':
      return refusalOfJoin(state, run, author, body);
    case 'peer.left':
      return refusalOfLeave(run, state.hub, author, body);
    case 'round.opened':
      if (author !== state.hub)
        return refuse('not-the-hub', `a round is opened by the hub ${state.hub}, got ${author}`);
      return canOpen(run, body.round, body.attempt);
    case 'work.submitted':
      return refusalOfWork(run, author, body);
    case 'round.drawn':
      return refusalOfDrawn(state, run, author, body);
    case 'verdict.sealed':
      return body.contest === undefined ? refusalOfSeal(run, author, body) : refusalOfJurorsSeal(run, author, body);
    case 'verdict.given':
      return body.contest === undefined
        ? refusalOfVerdict(run, author, body)
        : refusalOfJurorsVerdict(run, author, body);
    case 'verdict.contested':
      return refusalOfContest(run, author, body);
    case 'plant.revealed':
      return refusalOfPlant(run, author, body);
    case 'rules.proposed':
      return refusalOfProposal(run, author, body);
    case 'model.evaluated':
      return refusalOfEvaluation(run, author, body);
    case 'round.merged':
      if (author !== state.hub)
        return refuse('not-the-hub', `a merge is signed by the hub ${state.hub}, got ${author}`);
      return refusalOfMerge(state, run, body);
    case 'shares.stated':
      if (author !== state.hub)
        return refuse('not-the-hub', `shares are stated by the hub ${state.hub}, got ${author}`);
      return refusalOfStatement(run, body);
    case 'stake.locked':
      return refusalOfLock(state, run, author, body);
    case 'stake.released':
      return refusalOfRelease(run, author, body);
    case 'payout.settled':
      return refusalOfSettlement(state, run, author, body);
  }
}

function refusalOfEvaluation(run: RunState, author: string, body: ModelEvaluated): Refusal | null {
  const peer = run.peers.get(author);
  if (peer?.role !== 'validator') return refuse('not-a-validator', `${author} is not a validator here`);
  if (body.model !== run.model || body.merged_rounds !== run.round) {
    const got = `${body.model} after ${body.merged_rounds}`;
    return refuse('wrong-model', `expected the present model ${run.model} after ${run.round} rounds, got ${got}`);
  }
  if (peer.evaluated_rounds !== run.round) return null;
  return refuse('already-evaluated', `${author} has evaluated the model after ${run.round} rounds`);
}

function canOpen(run: RunState, round: number, attempt: number): Refusal | null {
  if (run.phase !== 'gathering')
    return refuse('wrong-phase', `a round opens in phase gathering, the run is ${run.phase}`);
  if (round !== run.round || attempt !== run.attempt) {
    return refuse('wrong-round', `expected round ${run.round} attempt ${run.attempt}, got ${round} attempt ${attempt}`);
  }
  if (mayStateShares(run)) return refuse('statement-due', `the shares at model ${run.model} must be stated first`);
  if (mayOpenRound(run)) return null;
  return refuse('wrong-phase', `the round needs ${workersNeeded(run)} workers, ${run.attendance.workers} are here`);
}

function refusalOfWork(run: RunState, author: string, body: WorkSubmitted): Refusal | null {
  if (run.peers.get(author)?.role !== 'worker') return refuse('not-a-worker', `${author} has not joined as a worker`);
  // Work that is a little late is still taken, until the list is closed: a late worker is a worker.
  if (run.phase !== 'working' && !(run.phase === 'judging' && isListOpen(run))) {
    return refuse('wrong-phase', `work is taken until the judges of a round are drawn, the run is ${run.phase}`);
  }
  if (body.round !== run.round || body.attempt !== run.attempt) {
    return refuse(
      'wrong-round',
      `expected work of round ${run.round} attempt ${run.attempt}, got round ${body.round} attempt ${body.attempt}`,
    );
  }
  if (body.base !== run.model) return refuse('wrong-model', `expected work on model ${run.model}, got ${body.base}`);
  if (run.peers.get(author)!.handed_in) return refuse('already-submitted', `${author} has handed in for this round`);
  return null;
}

/**
 * Lets an event happen: changes `state` in place when `refusalOf` allows it, else returns the refusal and changes nothing.
 * The same events in the same order give the same state on every machine.
 */
export function apply(state: NetworkState, event: LoggedEvent): Refusal | null {
  const refusal = refusalOf(state, event);
  if (refusal) return refusal;
  state.events++;
  const { body } = event;
  if (body.type === 'tick') {
    applyTick(state, body.time_ms);
  } else if (body.type === 'device.bound' || body.type === 'device.revoked') {
    applyDevice(state, event.author, body);
  } else if (body.type === 'account.address') {
    applyAddress(state, event.author, body);
  } else if (body.type === 'run.created') {
    state.runs.set(event.id, newRun(event, body, lineageOf(state, body), state.events));
  } else {
    applyInRun(state, state.runs.get(body.run)!, event, body);
    advance(state, state.runs.get(body.run)!);
  }
  noteBalances(state, event);
  return null;
}

/** The one that everybody runs. */
export const core: StateMachine = { refusalOf, apply };

function newRun(event: LoggedEvent, spec: RunCreated, lineage: Lineage | null, balances_since: number): RunState {
  return {
    id: event.id,
    owner: event.author,
    spec,
    rules: spec.rules,
    pending_rules: null,
    proposals: 0,
    phase: 'gathering',
    closing: null,
    halted: null,
    idle: notIdle(),
    losses: new Map(),
    round: 0,
    attempt: 0,
    seed: '',
    ...{ eligible: [], draw: null, replaced: false, silent: [], appeals: false },
    opened_ms: 0,
    deadline_ms: 0,
    grace_deadline_ms: 0,
    judging_deadline_ms: 0,
    reveal_deadline_ms: 0,
    model: spec.model,
    checkpoint: { merged_rounds: 0, model: spec.model },
    recent: [],
    submissions: new Map(),
    peers: new Map(),
    forgetting: nobodyForgotten(),
    attendance: nobody(),
    empty_since_ms: 0,
    validators: [],
    withheld: new Map(),
    locks: [],
    staked: new Map(),
    stake_changes: new Map(),
    settled: new Map(),
    settlements: 0,
    balances_since,
    bonds: [],
    last_judged: new Map(),
    decided: new Map(),
    contests: new Map(),
    shares: new Map(),
    unearned_shares: 0,
    emitted_shares: 0,
    tokens: new Map(),
    stated_rounds: 0,
    stated: null,
    lineage,
    merged_tokens: 0,
    submissions_total: 0,
    bytes_submitted: 0,
    evaluation: null,
    first_evaluation: null,
  };
}

function applyInRun(state: NetworkState, run: RunState, event: LoggedEvent, body: BodyInRun): void {
  switch (body.type) {
    case 'run.paused':
    case 'run.resumed':
    case 'run.ended':
      applyOwnersWord(run, body);
      return;
    case 'run.halted':
      applyHalt(run, body);
      return;
    case 'peer.joined':
      applyJoin(state, run, event.author, body);
      return;
    case 'peer.left':
      applyLeave(state, run, body.peer);
      return;
    case 'round.opened':
      run.phase = 'working';
      run.opened_ms = state.time_ms;
      run.deadline_ms = state.time_ms + run.spec.round_ms;
      run.seed = roundSeed(run);
      Object.assign(run, { draw: null, replaced: false, silent: [], appeals: false });
      countStakes(run);
      countOpening(run);
      seatValidators(state, run);
      return;
    case 'work.submitted': {
      const { id, author: worker } = event;
      const none = { judges: [], first: null, duties: new Map(), seals: new Map(), verdicts: new Map() };
      const submission: Submission = { id, worker, body, ...none };
      run.submissions.set(id, submission);
      countSubmission(run, run.peers.get(worker)!, submission);
      run.submissions_total++;
      run.bytes_submitted += body.size_bytes;
      return;
    }
    case 'round.drawn':
      applyDrawn(state, run, body);
      seatJuries(state, run);
      return;
    case 'verdict.contested':
      openContest(run, event.author, body);
      return;
    case 'verdict.sealed':
      run.peers.get(event.author)!.judged = true;
      if (body.contest !== undefined) {
        run.contests.get(body.submission)!.seals.set(event.author, body.seal);
        return;
      }
      noteSeal(run, run.submissions.get(body.submission)!, event.author, body.seal);
      countSeal(run);
      return;
    case 'verdict.given':
      if (body.contest !== undefined) {
        run.contests.get(body.submission)!.verdicts.set(event.author, body);
        return;
      }
      run.submissions.get(body.submission)!.verdicts.set(event.author, body);
      countVerdict(run, run.peers.get(event.author)!);
      return;
    case 'plant.revealed': {
      const { right, wrong } = openPlant(run, body);
      for (const peer of right) peer.plants_right++;
      for (const peer of wrong) {
        peer.plants_wrong++;
        forfeit(run, peer);
      }
      return;
    }
    case 'rules.proposed':
      propose(run, body);
      return;
    case 'model.evaluated':
      run.peers.get(event.author)!.evaluated_rounds = body.merged_rounds;
      run.evaluation = { merged_rounds: body.merged_rounds, loss_micro: body.loss_micro };
      run.first_evaluation ??= run.evaluation;
      noteLoss(run, event.author, body.loss_micro);
      return;
    case 'round.merged':
      applyMerge(state, run, body);
      return;
    case 'shares.stated':
      run.stated_rounds = body.merged_rounds;
      // Only from a model that is kept whole can another run start.
      if (run.checkpoint.merged_rounds === body.merged_rounds) rememberHolders(run);
      return;
    case 'stake.locked':
      applyLock(run, event.author, body);
      return;
    case 'stake.released':
      applyRelease(run, event.author, body);
      return;
    case 'payout.settled':
      applySettlement(state, run);
      return;
  }
}

export function roundSeed(run: RunState): string {
  const random = seededRandom('round', run.id, run.round, run.attempt, run.model);
  return Array.from({ length: 8 }, () => random.uint32().toString(16).padStart(8, '0')).join('');
}
