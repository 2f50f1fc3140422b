// The audit follows a run to the logs that it came from: each is replayed up to the head under which it let the run go, so that what the run
// brought is known to be what its log's rules gave (docs/decisions/0064-moving-a-run.md).
import { hexToBytes } from '@noble/hashes/utils.js';
import { assembleCheckpoint } from '../ledger/checkpoint.ts';
import { originOf } from '../ledger/key-names.ts';
import { HeadCheck, type KnownHead } from './heads.ts';
import { logUpTo } from './log-up-to.ts';
import { type Arrived, MoveWatch } from './moves.ts';
import type { AuditPool } from './pool.ts';
import { AuditFailure, type PublicLog, PublicLogError } from './public-log.ts';
import { replayLog } from './replay.ts';

/** Whoever brings a run names a hub of its own making, so strangers decide how much there is to follow. */
const LIMITS = {
  logs: 64, // logs replayed for one audit: more than runs come to one hub from
  moves: 16, // of one run, one after the other
  entries: 20_000_000, // of one log: some hours
} as const;

/** Another hub's log, opened. */
export interface OtherLog {
  readonly log: PublicLog;
  /** Whether it is a copy, which may be older than the log is: what is not there yet accuses nobody. */
  readonly is_copy: boolean;
}

export interface FollowOptions {
  readonly pool: AuditPool;
  /** Opens the log of a hub, which is said to be at `url`. Throws PublicLogError, AuditFailure `bad-checkpoint`. */
  readonly open: (hub: string, url: string) => Promise<OtherLog>;
  readonly onProgress?: (events: number, size: number) => void;
}

/** A run that came from another log, and what was found there. */
export interface FollowedMove {
  readonly run: string;
  readonly name: string;
  /** The hub to whose log it came, and the index of its `run.arrived` there. */
  readonly into: string;
  readonly index: number;
  /** The hub from whose log it came, and where that is said to be. */
  readonly from: string;
  readonly url: string;
  readonly merged_rounds: number;
  /** How many entries of that log led to the departure. */
  readonly entries: number;
  /** Whether they were replayed, all true; otherwise `reason` says why not. */
  readonly followed: boolean;
  readonly reason: string | null;
}

/** An arrival on the way back, and the event of the audited log from which that way began. */
interface Step extends Arrived {
  readonly into: string;
  readonly began: Pick<Arrived, 'index' | 'author'>;
}

/**
 * Follows the runs that came to a log to where they came from, and on from there. Throws AuditFailure `wrong-past` where such a log is not
 * true, or is not the one under whose head the run came; PublicLogError `broken-state`. A log that cannot be read is reported.
 */
export async function followMoves(
  log: PublicLog,
  came: readonly Arrived[],
  options: FollowOptions,
): Promise<FollowedMove[]> {
  const found: FollowedMove[] = [];
  // A run may come back to where it was: each arrival in a log is followed once.
  const seen = new Set<string>();
  let logs = 0;
  let steps: Step[] = came.map((arrived) => ({ ...arrived, into: log.hub, began: arrived }));
  for (let moves = 1; steps.length > 0; moves++) {
    const fresh = steps.filter(({ into, index }) => {
      const key = `${into} ${index}`;
      return !seen.has(key) && seen.add(key);
    });
    steps = [];
    for (const [hub, group] of Map.groupBy(fresh, ({ body }) => body.moved.hub)) {
      const limit =
        moves > LIMITS.moves ? `${LIMITS.moves} moves` : logs++ >= LIMITS.logs ? `${LIMITS.logs} logs` : null;
      const before = limit ? `an audit follows at most ${limit}` : await replayBefore(log, hub, group, options);
      const reason = typeof before === 'string' ? before : null;
      found.push(...group.map((step) => told(step, reason)));
      if (typeof before !== 'string') steps.push(...group.flatMap((step) => before(step)));
    }
  }
  return found;
}

/** @param reason why it was not followed; null: it was */
export function told(
  { run, name, into, index, body, merged_rounds }: Omit<Step, 'began'>,
  reason: string | null,
): FollowedMove {
  const { moved, url } = body;
  const from = { from: moved.hub, url, merged_rounds, entries: moved.head.size };
  return { run, name, into, index, ...from, followed: reason === null, reason };
}

/** Replays a hub's log up to the last head under which it let one of these runs go. Returns how each came there in turn, or why it cannot be known. */
async function replayBefore(
  log: PublicLog,
  hub: string,
  steps: readonly Step[],
  options: FollowOptions,
): Promise<((step: Step) => Step[]) | string> {
  const last = steps.reduce((most, step) => (step.body.moved.head.size > most.body.moved.head.size ? step : most));
  const { head } = last.body.moved;
  if (head.size > LIMITS.entries) return `its log had ${head.size} entries, an audit follows at most ${LIMITS.entries}`;
  const other = hub === log.hub ? { log, is_copy: true } : await openOrSay(hub, last.body.url, options);
  if (typeof other === 'string') return other;
  try {
    return await replayTo(other, steps, last, options);
  } catch (error) {
    if (error instanceof PublicLogError && error.code !== 'broken-state') return error.message;
    throw error;
  } finally {
    if (other.log !== log) other.log.close();
  }
}

/** Something else at an address than the hub's log says nothing about the hub. */
async function openOrSay(hub: string, url: string, { open }: FollowOptions): Promise<OtherLog | string> {
  try {
    return await open(hub, url);
  } catch (error) {
    if (error instanceof PublicLogError || (error instanceof AuditFailure && error.code === 'bad-checkpoint'))
      return error.message;
    throw error;
  }
}

async function replayTo(
  { log, is_copy }: OtherLog,
  steps: readonly Step[],
  last: Step,
  { pool, onProgress }: FollowOptions,
): Promise<((step: Step) => Step[]) | string> {
  const known = steps.map(headOf);
  const end = headOf(last);
  const watch = new MoveWatch();
  /** What the log has at the place of each departure. */
  const there = new Map<number, string>();
  try {
    if (log.size < end.size) {
      const short = `${log.where} has ${log.size} entries, and the hub has signed ${end.size}`;
      if (is_copy) return `${short}: it is an older copy, or was cut short`;
      throw new AuditFailure('omitted', `${short}: its log was cut short`, { index: log.size, signed: end.note });
    }
    await replayLog(logUpTo(log, end), {
      ...{ pool, heads: new HeadCheck(log.hub, known), onProgress },
      after(event, index, state) {
        watch.after(event, index, state);
        const { body } = event;
        if (steps.some(({ body: { moved } }) => moved.index === index))
          there.set(index, body.type === 'run.moved' ? `a run.moved to the hub ${body.to}` : `a ${body.type}`);
      },
    });
  } catch (error) {
    throw error instanceof AuditFailure ? wrongPast(log, steps, error, there) : error;
  }
  return ({ run, body, began }) => {
    const arrived = watch.came.findLast((one) => one.run === run && one.index < body.moved.index);
    return arrived ? [{ ...arrived, into: log.hub, began }] : [];
  };
}

/** The head under which a log let a run go; the core has verified the hub's signature. */
function headOf({ into, body: { moved } }: Step): KnownHead {
  const { hub, head } = moved;
  const parts = { size: head.size, root: hexToBytes(head.root), signature: hexToBytes(head.signature) };
  const note = assembleCheckpoint(parts, { name: originOf(hub), id: hub });
  return { size: parts.size, root: parts.root, note, from: `the hub ${into}, when a run came there` };
}

/** The untruth of a log that a run came from, as one of the log that took the run in. */
function wrongPast(
  { hub, where }: PublicLog,
  steps: readonly Step[],
  { code, message, details }: AuditFailure,
  there: ReadonlyMap<number, string>,
): AuditFailure {
  // Of several runs the one whose departure comes first after the untruth rests on it.
  const at = typeof details.index === 'number' ? details.index : 0;
  const inOrder = [...steps].sort((a, b) => a.body.moved.head.size - b.body.moved.head.size);
  const { run, into, body, began } =
    inOrder.find((step) => step.body.moved.head.size > at) ?? inOrder[inOrder.length - 1];
  const placed = there.get(body.moved.index);
  const instead = code === 'diverged' && placed ? `; where it let the run go is ${placed}` : '';
  return new AuditFailure(
    'wrong-past',
    `run ${run} came to the log of the hub ${into} from that of the hub ${hub}, which is not true (${where}, event ${at}): ${code}: ${message}${instead}`,
    {
      ...{ index: began.index, type: 'run.arrived', author: began.author, run, hub: into, from: hub },
      ...{ reason: code, at, refusal: details.refusal ?? null },
    },
  );
}
