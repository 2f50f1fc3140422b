// The core's state as peers and people see it.
import type { PeerRole } from '../core/events/peer-joined.ts';
import { isShown } from '../core/rounds/contest.ts';
import { mostAmount } from '../core/rounds/first-work.ts';
import { bondPermille } from '../core/rounds/re-execution.ts';
import { type NetworkState, type PeerState, type RunState, type Submission, workersNeeded } from '../core/state.ts';
import { inUnit } from '../protocol/measures.ts';
import type { PeerView, Progress, RunStatus, RunView } from '../protocol/messages.ts';
import type { LogClock } from './log-clock.ts';

/** What the hub knows about a peer beside the log: shown to people, irrelevant for pay. */
export interface PeerTelemetry {
  progress: Omit<Progress, 'type'> | null;
  bytes_up: number;
  bytes_down: number;
}

/** Measures the time left, by the log's clock, which the core uses for deadlines too. */
export type TimeLeft = Pick<LogClock, 'until_ms'>;

/** The time left of the run's current phase. */
function remainingMs(run: RunState, time: TimeLeft): number {
  if (run.phase === 'working') return Math.round(time.until_ms(run.deadline_ms));
  if (run.phase === 'revealing') return Math.round(time.until_ms(run.reveal_deadline_ms));
  if (run.phase === 'judging') return Math.round(time.until_ms(run.judging_deadline_ms));
  return 0;
}

const shared = (run: RunState, time: TimeLeft) => ({
  run: run.id,
  name: run.spec.name,
  game: run.spec.game,
  ...(run.spec.game_file && { game_file: run.spec.game_file }),
  params: run.spec.params,
  phase: run.phase,
  round: run.round,
  rounds: run.spec.rounds,
  attempt: run.attempt,
  seed: run.seed,
  remaining_ms: remainingMs(run, time),
  judging_ms: run.spec.judging_ms,
  model: run.model,
});

type OwnView = Pick<RunView, 'most_amount' | 'merged' | 'stage'>;

/** Whether a peer holds a stage now; one that has left keeps its own in mind. */
const holdsStage = (peer: PeerState | undefined): peer is PeerState & { readonly stage: number } =>
  peer?.present === true && peer.stage !== null;

/** A worker's view of itself: whether its work is in the last merge, how much it may claim while it has little to lose, its stage. */
export function ownView(run: RunState, worker: string): OwnView {
  const most_amount = mostAmount(run, worker);
  const peer = run.peers.get(worker);
  const merged_round = peer?.merged_round ?? null;
  return {
    merged: merged_round !== null && merged_round === run.round - 1,
    ...(most_amount !== null && { most_amount }),
    ...(holdsStage(peer) && { stage: peer.stage }),
  };
}

/** Who holds which stage, and who has a record; missing where the model is not cut. */
const rosterOf = ({ spec, peers }: RunState): Pick<RunView, 'roster'> =>
  spec.stages === undefined
    ? {}
    : {
        roster: [...peers.values()]
          .filter(holdsStage)
          .map(({ id, stage, consecutive_valid }) => [id, stage, consecutive_valid > 0]),
      };

/** A submission of the open round, with all who have answered. */
export function submissionView(run: RunState, submission: Submission): RunView['submissions'][number] {
  const { id, worker, body, judges, first, seals, verdicts } = submission;
  const { runtime, consecutive_valid } = run.peers.get(worker)!;
  const { work, size_bytes, amount, numbers, stage } = body;
  return {
    ...{ id, worker, runtime, consecutive_valid, bond_permille: bondPermille(run, worker, amount) },
    ...{ work, size_bytes, amount, numbers, ...(stage !== undefined && { stage }) },
    ...{ judges, appealed: first !== null, sealed: [...seals.keys()], shown: [...verdicts.keys()] },
  };
}

/**
 * A peer's view of a run, without submissions: validators are told of theirs apart (work-news.ts), and nobody else is.
 * @param own a worker's view of itself
 */
export function runView(run: RunState, time: TimeLeft, role: PeerRole, own: OwnView = {}): RunView {
  return {
    ...shared(run, time),
    checkpoint: run.checkpoint,
    recent: run.recent,
    seats: {
      workers: run.attendance.workers,
      workers_needed: workersNeeded(run),
      validators: run.validators.length,
    },
    submissions: [],
    contests: role === 'validator' ? contestsOf(run) : [],
    draw: run.draw,
    ...own,
    ...rosterOf(run),
    reexecute_permille: run.rules.reexecute_permille,
    probation: run.rules.probation,
    rating_permille: run.rules.rating_permille ?? 0,
  };
}

/** All that anybody may see of a run. */
export const wholeView = (run: RunState, time: TimeLeft): RunView => ({
  ...runView(run, time, 'validator'),
  submissions: [...run.submissions.values()].map((submission) => submissionView(run, submission)),
});

const contestsOf = (run: RunState): NonNullable<RunView['contests']> =>
  [...run.contests].map(([submission, contest]) => {
    const { round, contests } = run.decided.get(submission)!;
    const { judges, seals, verdicts } = contest;
    return {
      ...{ submission, round, contest: contests - 1, showing: isShown(run, contest), judges },
      sealed: [...seals.keys()],
      shown: [...verdicts.keys()],
    };
  });

/** What people see: every run with its peers. */
export function runStatuses(
  state: NetworkState,
  time: TimeLeft,
  telemetry: ReadonlyMap<string, PeerTelemetry>,
  denseBytes: (run: RunState) => number,
  problemOf: (run: RunState) => string | null = () => null,
): RunStatus[] {
  return [...state.runs.values()].map((run) => {
    const peers = [...run.peers.values()].map((peer): PeerView => {
      const { stage: _, held: __, ...known } = peer;
      const seen = telemetry.get(peer.id);
      return {
        ...known,
        // The last report of a device that has paused, or has freed its memory, says so.
        progress: peer.present || seen?.progress?.state === 'paused' ? (seen?.progress ?? null) : null,
        bytes_up: seen?.bytes_up ?? 0,
        bytes_down: seen?.bytes_down ?? 0,
        ...(holdsStage(peer) && { stage: peer.stage }),
      };
    });
    const working = peers.filter((peer) => peer.progress?.state === 'working');
    const submitted = run.submissions.size;
    return {
      ...shared(run, time),
      owner: run.owner,
      ...(run.moved && { moved: { ...run.moved, entry: run.entry } }),
      round_ms: run.spec.round_ms,
      min_workers: run.spec.min_workers,
      workers_needed: workersNeeded(run),
      ...(run.spec.stages !== undefined && { stages: run.spec.stages }),
      peers,
      submitted,
      merged_amount: run.merged_amount,
      bytes_submitted: run.bytes_submitted,
      dense_bytes: denseBytes(run),
      amount_per_second: working.reduce((sum, peer) => sum + (peer.progress?.amount_per_second ?? 0), 0),
      unit: run.spec.unit,
      numbers: run.spec.numbers,
      metrics: metricsOf(run),
      evaluated_rounds: run.evaluation?.merged_rounds ?? null,
      problem: problemOf(run) ?? tooSlow(peers),
    };
  });
}

/** The run's metrics, as they were measured first and last. */
const metricsOf = ({ spec, first_evaluation, evaluation }: RunState): RunStatus['metrics'] =>
  spec.metrics.map((metric) => {
    const [first, last] = [first_evaluation, evaluation].map((one) =>
      one ? inUnit(metric.name, one.measured[metric.name]) : null,
    );
    return { ...metric, first, last };
  });

/** A run whose workers all report that its rounds are too short for them stands still; only its owner can change that. */
function tooSlow(peers: readonly PeerView[]): string | null {
  const workers = peers.filter(({ present, role }) => present && role === 'worker');
  const slow = workers.filter(({ progress }) => progress?.obstacle?.code === 'too-slow');
  if (slow.length === 0 || slow.length < workers.length) return null;
  return `no worker keeps up with the rounds; one of ${slow.length} says: ${slow[0].progress!.obstacle!.message}`;
}
