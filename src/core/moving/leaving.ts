// A run leaves this log: its owner names the hub where it is to go on, and the hub states what it takes along. From then on nothing of it counts here.
import type { RunLeaving } from '../events/run-leaving.ts';
import type { RunMoved } from '../events/run-moved.ts';
import { LOGS_LIMITS } from '../limits.ts';
import { type Refusal, refuse } from '../refusal.ts';
import { forgetDecided } from '../rounds/contest.ts';
import { freeStakes } from '../shares/stake.ts';
import type { NetworkState, RunState } from '../state.ts';
import { encodeMovedRun, hashOfMovedRun } from './moved-run.ts';

/** Whether a run's owner may send it to another hub now. */
export function refusalOfLeaving(state: NetworkState, run: RunState, author: string, body: RunLeaving): Refusal | null {
  if (author !== run.owner) return refuse('not-the-owner', `only the owner ${run.owner} may do this, got ${author}`);
  if (body.to === state.hub) return refuse('wrong-hub', `the run is in the log of ${body.to} already`);
  if (run.phase !== 'paused') return refuse('wrong-phase', `expected a paused run, it is ${run.phase}`);
  if (body.round !== run.round || body.attempt !== run.attempt) {
    const got = `round ${body.round} attempt ${body.attempt}`;
    return refuse('wrong-round', `expected round ${run.round} attempt ${run.attempt}, got ${got}`);
  }
  if (run.moves >= LOGS_LIMITS.moves) {
    return refuse('too-many-moves', `a run moves at most ${LOGS_LIMITS.moves} times`);
  }
  if (run.contests.size === 0) return null;
  return refuse(
    'wrong-phase',
    `${run.contests.size} decisions of the run are contested: they are settled by later rounds here`,
  );
}

/** Another attempt begins, so that nobody who reads the log can use the owner's word again, here or where the run goes on. */
export function applyLeaving(run: RunState, { to, url }: RunLeaving): void {
  run.leaving = { hub: to, url };
  run.attempt++;
}

/** Whether the hub must write now that a run has moved. */
export const isLeaving = ({ leaving, phase }: RunState): boolean => leaving !== null && phase === 'paused';

/** What was computed for a run that leaves: of a large one it takes a second, and the hub, the core's check and its application ask for the same. */
const computed = new WeakMap<
  RunState,
  { readonly events: number; readonly bytes: Uint8Array; readonly hash: string }
>();

/** The bytes of what a run takes along now. */
export const takenAlong = (state: NetworkState, run: RunState): Uint8Array => computedFor(state, run).bytes;

function computedFor(state: NetworkState, run: RunState) {
  const { events } = state;
  const known = computed.get(run);
  if (known?.events === events) return known;
  const bytes = encodeMovedRun(state, run);
  const made = { events, bytes, hash: hashOfMovedRun(bytes) };
  computed.set(run, made);
  return made;
}

/** What the hub writes of a run that leaves. Call it only for one that `isLeaving`. */
export function movedOf(state: NetworkState, run: RunState): RunMoved {
  const { hub: to, url } = run.leaving!;
  const { bytes, hash } = computedFor(state, run);
  const taken = { state: hash, size_bytes: bytes.length };
  return { type: 'run.moved', version: 1, run: run.id, owner: run.owner, to, url, move: run.moves, ...taken };
}

/** Whether this says what follows from the log: a hub that states another state is seen by everybody who replays its log. */
export function refusalOfMoved(state: NetworkState, run: RunState, body: RunMoved): Refusal | null {
  if (!isLeaving(run)) return refuse('wrong-phase', 'the run is not to leave');
  const expected = movedOf(state, run);
  for (const field of ['owner', 'to', 'url', 'move', 'state', 'size_bytes'] as const) {
    if (body[field] === expected[field]) continue;
    return refuse('wrong-state', `${field}: expected ${expected[field]}, got ${body[field]}`);
  }
  if (expected.size_bytes <= LOGS_LIMITS.moved_run_bytes) return null;
  return refuse(
    'wrong-state',
    `a run takes at most ${LOGS_LIMITS.moved_run_bytes} bytes along, this one ${expected.size_bytes}`,
  );
}

/** The run is over here; call it only after `refusalOfMoved` returned null. */
export function applyMoved({ events }: NetworkState, run: RunState, { to, url }: RunMoved): void {
  const moved = { hub: to, url, index: events - 1 };
  computed.delete(run);
  Object.assign(run, { phase: 'finished', leaving: null, moved, moves: run.moves + 1 });
  freeStakes(run);
  forgetDecided(run);
}
