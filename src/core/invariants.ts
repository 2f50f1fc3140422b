// What must hold after every event: shares are conserved, counts equal what counting gives, time and rounds only grow.
// `brokenState` checks everything; `stepOf` and `brokenStep` check what one event may change, fast enough for every event of a hub.
import { HASH_FORM } from '../protocol/hash.ts';
import type { PeerRole } from './events/peer-joined.ts';
import type { EventBody, LoggedEvent } from './events.ts';
import { CORE_LIMITS, LOGS_LIMITS } from './limits.ts';
import { type People, peopleIn, registryProblems, registryStepProblems } from './registry/registry-invariants.ts';
import { contestProblems } from './rounds/contest-invariants.ts';
import { haveHeldAll, openedStageProblems, stageProblems } from './rounds/stage-invariants.ts';
import type { Rules } from './rules.ts';
import { judgedProblems } from './serving/judged.ts';
import { paidProblems, sumsOf } from './serving/paid-invariants.ts';
import { allBalances } from './shares/balances.ts';
import { emissionOf } from './shares/shares.ts';
import type { NetworkState, Phase, RunState, Submission } from './state.ts';

type Problems = Generator<string, void>;

const first = (problems: Problems): string | null => problems.next().value ?? null;
const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;
const sumOf = (values: Iterable<number>): number => [...values].reduce((sum, value) => sum + value, 0);
const ascending = (ids: readonly string[]): boolean => ids.every((id, i) => i === 0 || ids[i - 1] < id);
const same = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((id, i) => id === b[i]);
const short = (id: string): string => id.slice(0, 8);

/** The first invariant that a state breaks, in words; null where all hold. Takes time in proportion to the state. */
export function brokenState(state: NetworkState): string | null {
  return first(problemsOf(state));
}

/** The first invariant that one run breaks, in words; null where all hold. */
export const brokenRun = (state: NetworkState, run: RunState): string | null => first(problemsOfRun(state, run));

function* problemsOf(state: NetworkState): Problems {
  if (!isCount(state.events) || !isCount(state.time_ms)) yield `event ${state.events} at ${state.time_ms} ms`;
  for (const [id, { owner }] of state.devices) {
    if (id === owner || state.devices.has(owner)) yield `${short(id)} is owned by a device`;
  }
  const owners = Map.groupBy(state.devices.values(), ({ owner }) => owner);
  for (const [owner, count] of state.owners)
    if (owners.get(owner)?.length !== count) yield `${short(owner)} is said to own ${count} devices`;
  if (owners.size !== state.owners.size) yield `${state.owners.size} own devices, counting gives ${owners.size}`;
  yield* registryProblems(state);
  yield* paidProblems(state);
  yield* judgedProblems(state);
  for (const [id, { parts, size_bytes }] of state.arriving) {
    if (state.runs.get(id)?.moved === null) yield `run ${short(id)} is here, and on its way`;
    const come_bytes = sumOf(parts.map(({ length }) => length));
    if (come_bytes >= size_bytes)
      yield `run ${short(id)} has brought ${come_bytes} of ${size_bytes} bytes, and is not here`;
  }
  if (state.arriving.size > LOGS_LIMITS.arriving_runs) yield `${state.arriving.size} runs are on their way`;
  for (const [id, run] of state.runs) {
    if (run.id !== id) yield `run ${short(id)} is kept as ${short(run.id)}`;
    const problem = first(problemsOfRun(state, run));
    if (problem) yield `run ${short(id)}, round ${run.round}.${run.attempt} (${run.phase}): ${problem}`;
  }
}

function* problemsOfRun(state: NetworkState, run: RunState): Problems {
  yield* lifeProblems(state, run);
  yield* modelProblems(run);
  yield* peerProblems(run);
  yield* submissionProblems(run);
  yield* attendanceProblems(run);
  yield* stageProblems(state, run);
  yield* shareProblems(run);
  yield* stakeProblems(run);
  yield* contestProblems(run);
}

const OPEN: readonly Phase[] = ['working', 'judging', 'revealing', 'merging'];
const isOpen = ({ phase }: Pick<RunState, 'phase'>): boolean => OPEN.includes(phase);

function* lifeProblems(state: NetworkState, run: RunState): Problems {
  const { spec, phase, rules, pending_rules } = run;
  if (!isCount(run.round) || !isCount(run.attempt) || run.round > spec.rounds) yield 'no such round';
  if (run.round === spec.rounds && phase !== 'finished') yield 'all rounds are merged, and it goes on';
  if (run.closing !== null && !isOpen(run)) yield `it is to be ${run.closing}, and no round is open`;
  if (run.halted !== null && phase !== 'paused' && phase !== 'finished') yield `halted (${run.halted}) and not paused`;
  if (run.leaving !== null && phase !== 'paused') yield `it is to leave, and is ${phase}`;
  if (run.moved !== null && (phase !== 'finished' || run.moves === 0)) yield `it is elsewhere, and ${phase} here`;
  if (isOpen(run) && !HASH_FORM.test(run.seed)) yield `its seed is "${run.seed}"`;
  if (isOpen(run) && run.deadline_ms < run.opened_ms + spec.round_ms) yield `a deadline at ${run.deadline_ms}`;
  if (run.opened_ms > state.time_ms) yield `opened at ${run.opened_ms}, it is ${state.time_ms}`;
  if (run.judging_deadline_ms !== 0 && run.grace_deadline_ms > run.judging_deadline_ms)
    yield 'the grace is longer than the judging';
  if (run.grace_deadline_ms === 0 && run.judging_deadline_ms !== 0) yield 'judging is timed, and the grace is not';
  if (run.draw !== null && !HASH_FORM.test(run.draw)) yield `its draw is "${run.draw}"`;
  if (run.appeals && run.draw === null) yield 'it is appealed, and nobody was drawn to judge it';
  if (run.empty_since_ms > state.time_ms) yield `empty since ${run.empty_since_ms}, it is ${state.time_ms}`;
  if (run.empty_since_ms > 0 && [...run.peers.values()].some(({ present }) => present))
    yield 'it is empty, and somebody is here';
  if (!ascending(run.eligible) || run.eligible.some((id) => !run.peers.has(id))) yield 'who may judge is not in order';
  if (pending_rules && pending_rules.from_round <= run.round && phase !== 'finished') yield 'rules that were due wait';
  const { owner_permille, workers_permille, validators_permille } = rules.emission;
  if (owner_permille + workers_permille + validators_permille !== 1000) yield 'the parts of a round are not the whole';
  if (run.balances_since > state.events) yield `balances changed at ${run.balances_since} of ${state.events} events`;
  if (run.stated_rounds > run.round || (run.stated?.merged_rounds ?? 0) > run.stated_rounds) {
    yield `shares of ${run.stated_rounds} rounds are stated`;
  }
  const evaluated = [run.first_evaluation?.merged_rounds ?? 0, run.evaluation?.merged_rounds ?? 0, run.round];
  if (evaluated.some((round, i) => i > 0 && round < evaluated[i - 1]))
    yield 'a model is measured that is not there yet';
}

/** The history for followers reaches, without a gap, from the checkpoint before the last to the current model. */
function* modelProblems({ recent, round, model, checkpoint, spec }: RunState): Problems {
  if (checkpoint.merged_rounds > round) yield `a checkpoint of ${checkpoint.merged_rounds} rounds`;
  for (const [i, merged] of recent.entries()) {
    const from = round - recent.length;
    if (merged.round !== from + i) yield `the history has round ${merged.round} in place of ${from + i}`;
    const follows = recent[i + 1]?.parent ?? model;
    if (i > 0 && merged.step === null && recent[i - 1].step !== null) yield `round ${merged.round} has no step`;
    if (merged.model !== follows) yield `round ${merged.round} led to ${short(merged.model)}, not ${short(follows)}`;
  }
  if (checkpoint.merged_rounds < round - recent.length) yield 'the history does not reach back to the checkpoint';
  const made = recent.find((merged) => merged.round === checkpoint.merged_rounds)?.parent ?? model;
  if (spec.stages !== undefined && checkpoint.model !== model) yield 'a model in stages that is not stored whole';
  if (made !== checkpoint.model) yield `the checkpoint is ${short(checkpoint.model)}, not ${short(made)}`;
}

function* peerProblems(run: RunState): Problems {
  for (const [id, peer] of run.peers) {
    if (peer.id !== id) yield `peer ${short(id)} is kept as ${short(peer.id)}`;
    const { merged_submissions, refused_submissions, consecutive_valid } = peer;
    const counts = [peer.joins, peer.credit_amount, merged_submissions, refused_submissions, consecutive_valid];
    counts.push(peer.plants_right, peer.plants_wrong, peer.forfeited_shares);
    counts.push(peer.openings, peer.strikes, peer.struck_round, peer.suspended_until, peer.warned_until);
    if (!counts.every(isCount)) yield `${short(id)} has counts ${counts.join(', ')}`;
    if (peer.joins === 0) yield `${short(id)} never joined`;
    if (consecutive_valid > merged_submissions) yield `${short(id)} is trusted for work that was not merged`;
    const { merged_round } = peer;
    if (merged_round !== null && (merged_submissions === 0 || merged_round >= run.round))
      yield `${short(id)} has ${merged_submissions} merged submissions, the last of round ${merged_round}`;
    if ((peer.evaluated_rounds ?? 0) > run.round) yield `${short(id)} has measured a model that is not there yet`;
  }
  const { leaves, least_session, next_session } = run.forgetting;
  if (![leaves, least_session, next_session - least_session].every(isCount)) yield 'the forgotten go on too low';
  if (leaves >= CORE_LIMITS.leaves_until_forgotten) yield `${leaves} have left, and nobody is forgotten`;
  const peers = [...run.peers.values()];
  const decided = sumOf(peers.map((peer) => peer.merged_submissions + peer.refused_submissions));
  if (decided + run.submissions.size > run.submissions_total) yield `${decided} submissions were decided of fewer`;
  const credited = sumOf(peers.map(({ credit_amount }) => credit_amount));
  const amount = sumOf(run.amounts.values());
  if (credited !== amount || amount > run.merged_amount) {
    yield `${amount} ${run.spec.unit} are credited to accounts and ${credited} to peers, of ${run.merged_amount} merged`;
  }
}

function* submissionProblems(run: RunState): Problems {
  if (!isOpen(run) && run.submissions.size > 0) yield 'no round is open, and there is work';
  const workers = new Set<string>();
  for (const [id, submission] of run.submissions) {
    const { worker, body } = submission;
    if (submission.id !== id) yield `submission ${short(id)} is kept as ${short(submission.id)}`;
    if (workers.has(worker)) yield `${short(worker)} has handed in twice`;
    workers.add(worker);
    if (body.round !== run.round || body.attempt !== run.attempt) yield `work of round ${body.round}.${body.attempt}`;
    if (body.base !== run.model) yield `work on model ${short(body.base)}, not on ${short(run.model)}`;
    yield* judgeProblems(run, submission);
  }
  for (const [id, { handed_in }] of run.peers) {
    if (handed_in !== workers.has(id)) yield `${short(id)} has ${handed_in ? '' : 'not '}handed in`;
  }
}

function* judgeProblems(run: RunState, { id, judges, first, duties, seals, verdicts }: Submission): Problems {
  if (!ascending(judges)) yield `the judges of ${short(id)} are not in order, or one is there twice`;
  const seats = first === null ? run.rules.judges : CORE_LIMITS.jury;
  if (judges.length > seats) yield `${short(id)} has ${judges.length} judges of ${seats}`;
  if (judges.length > 0 && run.draw === null) yield `${short(id)} has judges before they are drawn`;
  for (const judge of judges)
    if (!run.eligible.includes(judge)) yield `${short(judge)} judges ${short(id)} without a seat`;
  const told = first === null ? judges : [...first.keys()];
  if (told.some((judge) => !duties.has(judge))) yield `a judge of ${short(id)} was told no duty`;
  if (first !== null && (!run.appeals || first.size === 0)) yield `${short(id)} is appealed by nobody`;
  // During an appeal, nobody waits for a judge that committed (sealed) a verdict and has not revealed it.
  const decided = run.appeals && first === null;
  for (const judge of decided ? [] : seals.keys()) {
    if (!judges.includes(judge)) yield `${short(judge)} sealed and was not drawn`;
  }
  for (const [judge, verdict] of verdicts) {
    if (!seals.has(judge)) yield `${short(judge)} has shown what it did not seal`;
    if (verdict.submission !== id) yield `${short(judge)} judges another submission than ${short(id)}`;
    if (verdict.accepted !== verdict.weight > 0) yield `${short(judge)} vouches for ${verdict.weight} of ${short(id)}`;
  }
  if (run.phase === 'working' && verdicts.size > 0) yield 'verdicts are shown before the work is over';
}

/** Counts over present peers equal what counting gives. */
function* attendanceProblems(run: RunState): Problems {
  const here = (role: PeerRole): string[] =>
    [...run.peers.values()].filter((peer) => peer.present && peer.role === role).map(({ id }) => id);
  const [workers, validators] = [here('worker'), here('validator').sort()];
  if (!same(run.validators, validators)) yield `${run.validators.length} validators are known, not who is here`;
  const submissions = [...run.submissions.values()];
  const worked = new Set(submissions.map(({ worker }) => worker));
  let seals_due = 0;
  let verdicts_due = 0;
  for (const { judges, seals, verdicts } of submissions) {
    for (const id of judges) {
      if (!validators.includes(id)) continue;
      if (!seals.has(id)) seals_due++;
      else if (!verdicts.has(id)) verdicts_due++;
    }
  }
  const handed_in = workers.filter((id) => worked.has(id)).length;
  const counted = { workers: workers.length, handed_in, seals_due, verdicts_due };
  for (const what of Object.keys(counted) as (keyof typeof counted)[]) {
    const known = run.attendance[what];
    if (known !== counted[what]) yield `attendance.${what} is ${known}, counting gives ${counted[what]}`;
  }
}

/** Shares are conserved: what rounds have issued is what everybody holds plus what nobody earned. */
function* shareProblems(run: RunState): Problems {
  const amounts = [...run.shares.values(), run.unearned_shares, run.emitted_shares, run.merged_amount];
  for (const amount of amounts) if (!isCount(amount)) yield `somebody has ${amount} shares`;
  const held = sumOf(run.shares.values());
  if (held + run.unearned_shares !== run.emitted_shares) {
    yield `${run.emitted_shares} shares were promised, ${held} are held and ${run.unearned_shares} unearned`;
  }
  for (const [account, { settled, locked, withheld, free }] of allBalances(run)) {
    if (Math.min(settled, locked, withheld, free) >= 0) continue;
    yield `${short(account)} has ${settled} settled, ${locked} locked, ${withheld} withheld and ${free} free shares`;
  }
  for (const [device, earned] of run.withheld) {
    if (!run.peers.has(device)) yield `${short(device)} has earned something and never joined`;
    for (const [i, { round, shares, amount }] of earned.entries()) {
      if (round >= run.round || (i > 0 && round < earned[i - 1].round))
        yield `${short(device)} earned in round ${round}`;
      if (!isCount(shares) || shares === 0) yield `${short(device)} has earned ${shares} shares in round ${round}`;
      if (!isCount(amount)) yield `${short(device)} has done ${amount} in round ${round}`;
    }
  }
  const lost = sumOf([...run.peers.values()].map(({ forfeited_shares }) => forfeited_shares));
  if (lost > run.unearned_shares) yield `${lost} shares were forfeited, ${run.unearned_shares} came back to the run`;
}

function* stakeProblems(run: RunState): Problems {
  const active = new Set<string>();
  for (const { account, device, shares, free_round } of run.locks) {
    if (!isCount(shares) || shares === 0) yield `${short(account)} has locked ${shares} shares`;
    if (!run.shares.has(account) || !run.peers.has(device)) yield `${short(account)} locks behind ${short(device)}`;
    if (free_round !== null && (free_round <= run.round || run.phase === 'finished')) yield 'free shares are locked';
    if (free_round !== null) continue;
    if (active.has(`${account} ${device}`)) yield `${short(account)} has two locks behind ${short(device)}`;
    active.add(`${account} ${device}`);
  }
  for (const [account, settled] of run.settled) {
    if (!isCount(settled)) yield `${short(account)} was paid ${settled} shares elsewhere`;
    if (!run.shares.has(account)) yield `${short(account)} was paid elsewhere and holds nothing`;
  }
}

/** The part of a state that an event is compared with, taken before it is applied. */
export interface Step {
  readonly events: number;
  readonly time_ms: number;
  readonly runs: number;
  /** How much of its registry the log has seen, and how many devices and addresses it knows. */
  readonly people: People;
  /** The sums of answers, and how many parts of them were judged. */
  readonly paid: string;
  readonly judged: number;
  /** Of the run that the event names; null where it names none, or creates it. */
  readonly run: StepOfRun | null;
}

interface StepOfRun {
  readonly phase: Phase;
  readonly round: number;
  readonly attempt: number;
  readonly rules: Rules;
  readonly emitted_shares: number;
  readonly unearned_shares: number;
  readonly merged_amount: number;
  readonly submissions: number;
  readonly peers: number;
  readonly least_session: number;
  /** Accounts that have held all stages of a run that keeps them apart, before an event that may give some. */
  readonly held_all: readonly string[];
}

const GIVES_STAGES: readonly EventBody['type'][] = ['peer.joined', 'peer.left', 'round.opened', 'round.merged'];

const runOf = (state: NetworkState, body: EventBody): RunState | undefined =>
  'run' in body ? state.runs.get(body.run) : undefined;

/** Call it before an event is applied. Its cost does not grow with the state, but for runs that keep stages apart. */
export function stepOf(state: NetworkState, { body }: LoggedEvent): Step {
  const { events, time_ms, runs } = state;
  const run = runOf(state, body);
  const people = peopleIn(state);
  const money = { people, paid: sumsOf(state.paid), judged: state.judged.parts };
  if (!run) return { events, time_ms, runs: runs.size, ...money, run: null };
  const { phase, round, attempt, rules, emitted_shares, unearned_shares, merged_amount, submissions } = run;
  const shares = { emitted_shares, unearned_shares, merged_amount };
  const held_all = GIVES_STAGES.includes(body.type) ? haveHeldAll(state, run) : [];
  const known = { peers: run.peers.size, least_session: run.forgetting.least_session, held_all };
  const before = { phase, round, attempt, rules, ...shares, submissions: submissions.size, ...known };
  return { events, time_ms, runs: runs.size, ...money, run: before };
}

/**
 * What an applied event has changed that it must not, in words; null for nothing. It checks the one run that the event names. It checks
 * holdings only after events that move shares or money.
 */
export function brokenStep(before: Step, state: NetworkState, event: LoggedEvent): string | null {
  return first(stepProblems(before, state, event));
}

function* stepProblems(before: Step, state: NetworkState, { body }: LoggedEvent): Problems {
  if (state.events !== before.events + 1) yield `event ${before.events} is counted as ${state.events - before.events}`;
  const time_ms = body.type === 'tick' ? body.time_ms : before.time_ms;
  if (state.time_ms !== time_ms || time_ms < before.time_ms)
    yield `time went from ${before.time_ms} to ${state.time_ms}`;
  const comes = body.type === 'run.created' || (body.type === 'run.part' && !before.run && state.runs.has(body.run));
  const runs = before.runs + Number(comes);
  if (state.runs.size !== runs) yield `there are ${state.runs.size} runs, not ${runs}`;
  if (MOVES_MONEY.includes(body.type)) yield* paidProblems(state);
  else if (sumsOf(state.paid) !== before.paid) yield 'money of answers has moved';
  if (body.type === 'answers.judged') yield* judgedProblems(state);
  else if (state.judged.parts !== before.judged) yield 'answers are judged by another event';
  yield* registryStepProblems(before.people, state, body);
  const run = runOf(state, body);
  // What a run that comes back brings was checked when it came.
  if (!run || !before.run || body.type === 'run.part') return;
  const where = `${body.type} in round ${before.run.round}.${before.run.attempt} (${before.run.phase})`;
  for (const problem of runStepProblems(before.run, state, run, body)) yield `${where}: ${problem}`;
}

/** Which phases may follow each phase. */
const FOLLOWING: Readonly<Record<Phase, readonly Phase[]>> = {
  gathering: ['working', 'paused', 'finished'],
  working: ['judging', 'revealing', 'merging', 'paused', 'finished'],
  judging: ['revealing', 'merging', 'paused', 'finished'],
  revealing: ['judging', 'merging', 'paused', 'finished'],
  merging: ['gathering', 'paused', 'finished'],
  paused: ['gathering', 'finished'],
  finished: [],
};
const TRIES_AGAIN: readonly EventBody['type'][] = [
  ...(['round.merged', 'run.paused', 'run.ended', 'run.halted', 'run.leaving'] as const),
];
const MOVES_MONEY: readonly EventBody['type'][] = ['credit.granted', 'answers.settled', 'earnings.paid'];
const MOVES_SHARES: readonly EventBody['type'][] = ['round.merged', 'plant.revealed'];

function* runStepProblems(before: StepOfRun, state: NetworkState, run: RunState, body: EventBody): Problems {
  const { phase, round, attempt } = run;
  if (phase !== before.phase && !FOLLOWING[before.phase].includes(phase)) yield `it is ${phase} now`;
  const merged = body.type === 'round.merged' && body.bundle !== null;
  const expected = merged ? before.round + 1 : before.round;
  if (round !== expected || (merged && attempt !== 0)) yield `round ${round}.${attempt} follows`;
  const tries = attempt - before.attempt;
  if (!merged && (tries < 0 || tries > Number(TRIES_AGAIN.includes(body.type)))) yield `attempt ${attempt} follows`;
  const emitted = before.emitted_shares + (merged ? emissionOf(before.rules.emission, before.round) : 0);
  if (run.emitted_shares !== emitted) yield `${run.emitted_shares} shares are promised, not ${emitted}`;
  if (run.merged_amount < before.merged_amount) yield 'merged work is gone';
  if (MOVES_SHARES.includes(body.type)) yield* shareProblems(run);
  else if (run.unearned_shares !== before.unearned_shares) yield 'shares that nobody earned have moved';
  const looked = run.forgetting.least_session !== before.least_session;
  if (run.forgetting.least_session < before.least_session) yield 'what the forgotten have used may be used again';
  if (run.peers.size < before.peers && (body.type !== 'peer.left' || run.forgetting.leaves > 0))
    yield 'somebody is forgotten';
  if (looked && body.type !== 'peer.left') yield 'the forgotten go on elsewhere';
  if (body.type === 'round.opened') yield* openedStageProblems(state, run);
  if (GIVES_STAGES.includes(body.type)) {
    const given = haveHeldAll(state, run).find((account) => !before.held_all.includes(account));
    if (given) yield `${short(given)} was given all stages`;
  }
  if (body.type === 'work.submitted' && run.submissions.size !== before.submissions + 1) yield 'work is lost';
  const { workers, handed_in, seals_due, verdicts_due } = run.attendance;
  if (
    ![workers, handed_in, seals_due, verdicts_due].every(isCount) ||
    handed_in > workers ||
    workers > run.peers.size
  ) {
    yield `attendance is ${JSON.stringify(run.attendance)}`;
  }
  if (handed_in > run.submissions.size) yield `${handed_in} have handed in ${run.submissions.size} submissions`;
}
