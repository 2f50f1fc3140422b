// The one state machine: `refusalOf` says whether an event may follow, `apply` lets it. Total: a wrong event is a refusal, never an exception.
import { seededRandom } from '../protocol/random.ts';
import { applyAddress, refusalOfAddress } from './addresses.ts';
import { clearSubmissions, countSubmission, countVerdict, nobody } from './attendance.ts';
import { applyDevice, refusalOfDevice, refusalOfKey } from './devices.ts';
import type { EventBody, LoggedEvent, ModelEvaluated, RoundMerged, VerdictGiven, WorkSubmitted } from './events.ts';
import { CORE_LIMITS } from './events.ts';
import { applyJoin, applyLeave, refusalOfJoin, refusalOfLeave } from './presence.ts';
import { type Refusal, refuse } from './refusal.ts';
import { mayStateShares, refusalOfStatement } from './share-table.ts';
import { payRound, type RoundPayout } from './shares.ts';
import type { NetworkState, RunState, Submission } from './state.ts';
import { acceptedSubmissions, accountOf, mayOpenRound, workersNeeded } from './state.ts';

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
  if (body.type === 'run.created') return refusalOfRun(state, event);
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

function refusalOfRun(state: NetworkState, event: LoggedEvent): Refusal | null {
  if (state.runs.has(event.id)) return refuse('run-exists', `run ${event.id} is already in the log`);
  if (state.runs.size >= CORE_LIMITS.runs)
    return refuse('too-many-runs', `a hub keeps at most ${CORE_LIMITS.runs} runs`);
  const owner = accountOf(state, event.author);
  const going = [...state.runs.values()].filter((run) => run.phase !== 'finished');
  const own = going.filter((run) => accountOf(state, run.owner) === owner).length;
  const most = CORE_LIMITS.unfinished_runs_per_owner;
  if (own >= most) return refuse('too-many-runs', `an owner has at most ${most} unfinished runs on a hub`);
  return null;
}

type BodyInRun = Extract<EventBody, { run: string }>;

function refusalInRun(state: NetworkState, run: RunState, event: LoggedEvent, body: BodyInRun): Refusal | null {
  const { author } = event;
  switch (body.type) {
    case 'run.paused':
    case 'run.resumed':
      if (author !== run.owner)
        return refuse('not-the-owner', `only the owner ${run.owner} may do this, got ${author}`);
      if (run.phase === 'finished' || (body.type === 'run.resumed') !== (run.phase === 'paused')) {
        return refuse('wrong-phase', `${body.type} does not follow in phase ${run.phase}`);
      }
      if (body.round !== run.round || body.attempt !== run.attempt) {
        const got = `round ${body.round} attempt ${body.attempt}`;
        return refuse('wrong-round', `expected round ${run.round} attempt ${run.attempt}, got ${got}`);
      }
      return null;
    case 'peer.joined':
      return refusalOfJoin(run, author, body);
    case 'peer.left':
      return refusalOfLeave(run, state.hub, author, body);
    case 'round.opened':
      if (author !== state.hub)
        return refuse('not-the-hub', `a round is opened by the hub ${state.hub}, got ${author}`);
      return canOpen(run, body.round, body.attempt);
    case 'work.submitted':
      return refusalOfWork(run, author, body);
    case 'verdict.given':
      return refusalOfVerdict(run, author, body);
    case 'model.evaluated':
      return refusalOfEvaluation(run, author, body);
    case 'round.merged':
      if (author !== state.hub)
        return refuse('not-the-hub', `a merge is signed by the hub ${state.hub}, got ${author}`);
      return refusalOfMerge(run, body);
    case 'shares.stated':
      if (author !== state.hub)
        return refuse('not-the-hub', `shares are stated by the hub ${state.hub}, got ${author}`);
      return refusalOfStatement(run, body);
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
  // Work that arrives while the others are being judged is still taken: a late worker is a worker.
  if (run.phase !== 'working' && run.phase !== 'judging') {
    return refuse('wrong-phase', `work is taken while a round is working or judging, the run is ${run.phase}`);
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

function refusalOfVerdict(run: RunState, author: string, body: VerdictGiven): Refusal | null {
  if (run.peers.get(author)?.role !== 'validator')
    return refuse('not-a-validator', `${author} is not a validator here`);
  const submission = run.submissions.get(body.submission);
  if (!submission) return refuse('unknown-submission', `no submission ${body.submission} in the open round`);
  if (submission.verdicts.has(author)) return refuse('already-judged', `${author} has judged ${body.submission}`);
  if (run.phase !== 'working' && run.phase !== 'judging') {
    return refuse('wrong-phase', `verdicts are taken while a round is working or judging, the run is ${run.phase}`);
  }
  return null;
}

function refusalOfMerge(run: RunState, body: RoundMerged): Refusal | null {
  if (run.phase !== 'merging') return refuse('wrong-phase', `a merge follows judging, the run is ${run.phase}`);
  if (body.round !== run.round || body.attempt !== run.attempt) {
    return refuse('wrong-round', `expected the merge of round ${run.round} attempt ${run.attempt}`);
  }
  const expected = acceptedSubmissions(run).map(({ submission }) => submission.id);
  if (expected.length !== body.accepted.length || expected.some((id, index) => id !== body.accepted[index])) {
    return refuse(
      'wrong-merge',
      `expected the ${expected.length} submissions that the verdicts accept, in order of id`,
    );
  }
  const empty = expected.length === 0;
  if (empty !== (body.bundle === null) || (empty && body.model !== run.model)) {
    return refuse('wrong-merge', 'a bundle is named exactly when work was accepted; without work the model stays');
  }
  if (body.checkpoint !== isCheckpoint(run, body)) {
    return refuse(
      'wrong-merge',
      `a checkpoint is kept after every ${run.spec.checkpoint_every} merged rounds and the last`,
    );
  }
  return null;
}

/** Whether this merge's model must be kept as a whole blob. */
export function isCheckpoint(run: RunState, merge: Pick<RoundMerged, 'bundle'>): boolean {
  if (merge.bundle === null) return false;
  const merged = run.round + 1;
  return merged % run.spec.checkpoint_every === 0 || merged === run.spec.rounds;
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
    state.runs.set(event.id, newRun(event, body));
  } else {
    applyInRun(state, state.runs.get(body.run)!, event, body);
    advance(state.runs.get(body.run)!, state.time_ms);
  }
  return null;
}

/** The one that everybody runs. */
export const core: StateMachine = { refusalOf, apply };

function newRun(event: LoggedEvent, spec: Extract<EventBody, { type: 'run.created' }>): RunState {
  return {
    id: event.id,
    owner: event.author,
    spec,
    phase: 'gathering',
    round: 0,
    attempt: 0,
    seed: '',
    opened_ms: 0,
    deadline_ms: 0,
    grace_deadline_ms: 0,
    judging_deadline_ms: 0,
    model: spec.model,
    checkpoint: { merged_rounds: 0, model: spec.model },
    recent: [],
    submissions: new Map(),
    peers: new Map(),
    attendance: nobody(),
    shares: new Map(),
    unearned_shares: 0,
    tokens: new Map(),
    stated_rounds: 0,
    merged_tokens: 0,
    submissions_total: 0,
    bytes_submitted: 0,
    evaluation: null,
    first_evaluation: null,
  };
}

/** Moves the clock. A gap in the ticks is time in which the hub was away: deadlines move with it, nobody was late. */
function applyTick(state: NetworkState, time_ms: number): void {
  const gap_ms = time_ms - state.time_ms;
  const away = state.time_ms > 0 && gap_ms > CORE_LIMITS.tick_gap_ms;
  state.time_ms = time_ms;
  for (const run of state.runs.values()) {
    if (away && run.phase === 'working') run.deadline_ms += gap_ms;
    if (run.phase === 'judging') timeJudging(run, time_ms, away ? gap_ms : 0);
    advance(run, time_ms);
    if (run.phase === 'judging') timeJudging(run, time_ms, 0);
  }
}

function applyInRun(state: NetworkState, run: RunState, event: LoggedEvent, body: BodyInRun): void {
  switch (body.type) {
    case 'run.paused':
      run.phase = 'paused';
      clearSubmissions(run);
      run.attempt++;
      return;
    case 'run.resumed':
      run.phase = 'gathering';
      return;
    case 'peer.joined':
      applyJoin(run, event.author, body);
      return;
    case 'peer.left':
      applyLeave(run, body.peer);
      return;
    case 'round.opened':
      run.phase = 'working';
      run.opened_ms = state.time_ms;
      run.deadline_ms = state.time_ms + run.spec.round_ms;
      run.seed = roundSeed(run);
      return;
    case 'work.submitted': {
      const submission: Submission = { id: event.id, worker: event.author, body, verdicts: new Map() };
      run.submissions.set(event.id, submission);
      countSubmission(run, run.peers.get(event.author)!);
      run.submissions_total++;
      run.bytes_submitted += body.size_bytes;
      return;
    }
    case 'verdict.given':
      run.submissions.get(body.submission)!.verdicts.set(event.author, body);
      countVerdict(run, run.peers.get(event.author)!);
      return;
    case 'model.evaluated':
      run.peers.get(event.author)!.evaluated_rounds = body.merged_rounds;
      run.evaluation = { merged_rounds: body.merged_rounds, loss_micro: body.loss_micro };
      run.first_evaluation ??= run.evaluation;
      return;
    case 'round.merged':
      applyMerge(state, run, body);
      return;
    case 'shares.stated':
      run.stated_rounds = body.merged_rounds;
      return;
  }
}

function roundSeed(run: RunState): string {
  const random = seededRandom('round', run.id, run.round, run.attempt, run.model);
  return Array.from({ length: 8 }, () => random.uint32().toString(16).padStart(8, '0')).join('');
}

function applyMerge(state: NetworkState, run: RunState, body: RoundMerged): void {
  const accepted = new Map(acceptedSubmissions(run).map((entry) => [entry.submission.id, entry.verified]));
  for (const submission of run.submissions.values()) {
    const peer = run.peers.get(submission.worker)!;
    const verified = accepted.get(submission.id);
    if (verified === undefined) {
      peer.refused_submissions++;
      continue;
    }
    peer.merged_submissions++;
    run.merged_tokens += submission.body.tokens;
    if (!verified) continue;
    const account = accountOf(state, submission.worker);
    peer.credit_tokens += submission.body.tokens;
    run.tokens.set(account, (run.tokens.get(account) ?? 0) + submission.body.tokens);
  }
  if (body.bundle !== null) payShares(run, roundPayout(state, run));
  clearSubmissions(run);
  if (body.bundle === null) {
    run.attempt++;
    run.phase = 'gathering';
    return;
  }
  run.recent.push({ round: run.round, parent: run.model, bundle: body.bundle, model: body.model });
  run.round++;
  run.attempt = 0;
  run.model = body.model;
  if (body.checkpoint) {
    const { merged_rounds } = run.checkpoint;
    run.recent = run.recent.filter((merged) => merged.round >= merged_rounds);
    run.checkpoint = { merged_rounds: run.round, model: body.model };
  }
  run.phase = run.round === run.spec.rounds ? 'finished' : 'gathering';
}

function payShares(run: RunState, { payouts, unearned }: RoundPayout): void {
  for (const [account, shares] of payouts) run.shares.set(account, (run.shares.get(account) ?? 0) + shares);
  run.unearned_shares += unearned;
}

/**
 * What the open round pays if it is merged now: workers by the verified tokens of accepted work, validators by the number
 * of their verdicts that agree with what was decided.
 */
export function roundPayout(state: NetworkState, run: RunState): RoundPayout {
  const accepted = acceptedSubmissions(run);
  const merged = new Set(accepted.map(({ submission }) => submission.id));
  const workers = accepted
    .filter(({ verified }) => verified)
    .map(({ submission }) => ({ id: accountOf(state, submission.worker), weight: submission.body.tokens }));
  const right = new Map<string, number>();
  for (const { id, verdicts } of run.submissions.values()) {
    for (const [validator, verdict] of verdicts) {
      if (verdict.accepted !== merged.has(id)) continue;
      const account = accountOf(state, validator);
      right.set(account, (right.get(account) ?? 0) + 1);
    }
  }
  const validators = [...right].map(([id, weight]) => ({ id, weight }));
  return payRound(run.spec.emission, run.round, accountOf(state, run.owner), workers, validators);
}

/** The part of the judging time in which a worker that is still here, but late, is waited for. */
const GRACE_PART = 4;

/**
 * Judging is timed from the first tick in it: the one before the work that ended the round may be seconds old, and
 * validators would have that much less. `away_ms` is time that nobody had.
 */
function timeJudging(run: RunState, time_ms: number, away_ms: number): void {
  if (run.judging_deadline_ms > 0) {
    run.grace_deadline_ms += away_ms;
    run.judging_deadline_ms += away_ms;
    return;
  }
  run.grace_deadline_ms = time_ms + Math.floor(run.spec.judging_ms / GRACE_PART);
  run.judging_deadline_ms = time_ms + run.spec.judging_ms;
}

/** Moves a run along where what is in the log is enough: nobody is waited for beyond a deadline. */
function advance(run: RunState, time_ms: number): void {
  if (run.phase !== 'working' && run.phase !== 'judging') return;
  const { workers, handed_in, verdicts_due } = run.attendance;
  const everybodyDone = handed_in === workers;
  if (run.phase === 'working' && (time_ms >= run.deadline_ms || (everybodyDone && run.submissions.size > 0))) {
    run.phase = 'judging';
    run.grace_deadline_ms = 0;
    run.judging_deadline_ms = 0;
  }
  const past = (deadline_ms: number): boolean => deadline_ms > 0 && time_ms >= deadline_ms;
  if (run.phase === 'judging' && (everybodyDone || past(run.grace_deadline_ms))) {
    if (verdicts_due === 0 || past(run.judging_deadline_ms)) run.phase = 'merging';
  }
}
