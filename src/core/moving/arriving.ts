// A run comes from another hub's log: its owner shows that this log has let it go, to here, and brings what it takes along piece by piece.
import { concatBytes } from '@noble/hashes/utils.js';
import type { RunArrived } from '../events/run-arrived.ts';
import { newRun, type RunCreated, refusalOfPlace, refusalOfStages } from '../events/run-created.ts';
import type { RunPart } from '../events/run-part.ts';
import { brokenRun } from '../invariants.ts';
import { LOGS_LIMITS } from '../limits.ts';
import { type Refusal, refuse } from '../refusal.ts';
import { neededBlobs } from '../rounds/needed-blobs.ts';
import type { Arrival, Lineage, NetworkState, RunState } from '../state.ts';
import { openCame, openMoved } from './came.ts';
import type { ForeignEvent } from './foreign-event.ts';
import { decodeMovedRun, hashOfMovedRun } from './moved-run.ts';

/** Why a run may not come into this log. */
export function refusalOfArrival(state: NetworkState, author: string, body: RunArrived): Refusal | null {
  if (state.arriving.has(body.run)) return refuse('run-exists', `run ${body.run} is on its way to this log`);
  const known = state.runs.get(body.run);
  if (known && !known.moved) return refuse('run-exists', `run ${body.run} is already in the log`);
  if (state.arriving.size >= LOGS_LIMITS.arriving_runs) {
    return refuse('too-many-arrivals', `at most ${LOGS_LIMITS.arriving_runs} runs are on their way to a log at a time`);
  }
  const place = refusalOfPlace(state, author);
  if (place) return place;
  const opened = openArrival(state, body);
  if ('code' in opened) return opened;
  const least = known?.moves ?? 0;
  if (opened.moves <= least) {
    return refuse(
      'wrong-state',
      `the run has left this log since: expected a move after ${least}, got ${opened.moves}`,
    );
  }
  return author === opened.by
    ? null
    : refuse('not-the-owner', `only the owner ${opened.by} may do this, got ${author}`);
}

/** What an arrival says, all its proofs checked. */
function openArrival(state: NetworkState, body: RunArrived): Arrival | Refusal {
  const came = openCame(body, state.hub);
  if ('code' in came) return came;
  const { departure, spec } = came;
  const { run, moved, way = [] } = body;
  const wrong = refusalOfStages(spec) ?? refusalOfWay(run, spec.hub, [...way, moved]);
  if (wrong) return wrong;
  return {
    ...{ by: departure.owner, from: moved.hub, spec, moves: departure.move + 1 },
    ...{
      state: departure.state,
      size_bytes: departure.size_bytes,
      since_ms: state.time_ms,
      parts: [],
      blobs: [],
      entry: state.events,
    },
  };
}

/**
 * Why departures do not lead here from the hub in whose log the run began: each must be from the hub that the one before names, and be the next.
 * A run that names no hub can show none.
 */
function refusalOfWay(run: string, begins: string | undefined, departures: readonly ForeignEvent[]): Refusal | null {
  let at = begins;
  for (const [move, left] of at === undefined ? [] : departures.entries()) {
    const departure = openMoved(left);
    if ('code' in departure) return departure;
    if (left.hub !== at || departure.run !== run || departure.move !== move) {
      return refuse(
        'wrong-way',
        `expected departure ${move} of the run from the hub ${at}, got ${departure.move} from ${left.hub}`,
      );
    }
    at = departure.to;
  }
  return null;
}

/** Begins an arrival; call it only after `refusalOfArrival` returned null. */
export function applyArrival(state: NetworkState, body: RunArrived): void {
  const opened = openArrival(state, body);
  if (!('code' in opened)) state.arriving.set(body.run, { ...opened, entry: state.events - 1 });
}

const sizeOf = (parts: readonly Uint8Array[]): number => parts.reduce((sum, { length }) => sum + length, 0);

/** Why a piece may not follow; of the last one also: why what has come is no run. */
export function refusalOfPart(state: NetworkState, author: string, body: RunPart): Refusal | null {
  const arrival = state.arriving.get(body.run);
  if (!arrival) return refuse('unknown-run', `run ${body.run} is not on its way to this log`);
  if (author !== arrival.by) return refuse('not-the-owner', `only the owner ${arrival.by} may do this, got ${author}`);
  const { parts, size_bytes } = arrival;
  if (body.part !== parts.length) return refuse('wrong-part', `expected part ${parts.length}, got ${body.part}`);
  const left_bytes = size_bytes - sizeOf(parts);
  const whole = Math.min(left_bytes, LOGS_LIMITS.part_bytes);
  if (arrival.blobs.length + body.blobs.length > LOGS_LIMITS.moved_run_blobs) {
    return refuse('wrong-part', `a run names at most ${LOGS_LIMITS.moved_run_blobs} blobs`);
  }
  // A run of many blobs names them in parts of their own.
  if (body.bytes.length === 0 && body.blobs.length > 0) return null;
  if (body.bytes.length !== whole) return refuse('wrong-part', `expected ${whole} bytes, got ${body.bytes.length}`);
  if (left_bytes > whole) return null;
  const run = arrivedRun(state, body);
  return 'code' in run ? run : null;
}

/**
 * What the last part has led to: of a large run it takes seconds, and the hub's check, the core's and the application ask one after the other. An
 * arrival is one log's, changes with its parts alone, and is gone when the run is here.
 */
const found = new WeakMap<Arrival, { readonly last: RunPart; readonly run: RunState | Refusal }>();

/** The run that is here with its last part. */
function arrivedRun(state: NetworkState, last: RunPart): RunState | Refusal {
  const arrival = state.arriving.get(last.run)!;
  const known = found.get(arrival);
  if (known?.last === last) return known.run;
  const run = openWhole(state, arrival, last);
  found.set(arrival, { last, run });
  return run;
}

function openWhole(state: NetworkState, arrival: Arrival, { run: id, bytes, blobs }: RunPart): RunState | Refusal {
  const all = concatBytes(...arrival.parts, bytes);
  const hash = hashOfMovedRun(all);
  if (hash !== arrival.state) return refuse('wrong-state', `expected bytes with hash ${arrival.state}, got ${hash}`);
  const carried = decodeMovedRun(all);
  if ('code' in carried) return carried;
  const wrong = refusalOfLineage(arrival.spec, carried.lineage);
  if (wrong) return wrong;
  const created = { id, author: arrival.by, body: arrival.spec };
  const run: RunState = {
    ...newRun(created, null, state.events),
    ...carried,
    ...{ entry: arrival.entry, phase: 'paused', moves: arrival.moves },
  };
  const named = new Set([...arrival.blobs, ...blobs]);
  const missing = neededBlobs(run).find(([, hash]) => !named.has(hash));
  if (missing) return refuse('wrong-state', `no part names the blob ${missing[1]}, ${missing[0]}`);
  // A log that nobody has audited may have stated anything: what could not follow from events would break what builds on it.
  const problem = brokenRun(state, run);
  return problem === null ? run : refuse('wrong-state', `what the run takes along is no run: ${problem}`);
}

/** What a run owes to an ancestor is what its first event says; only the holders are known from the log in which it began. */
function refusalOfLineage({ ancestor }: RunCreated, lineage: Lineage | null): Refusal | null {
  const other = (['run', 'merged_rounds', 'model', 'royalty_permille'] as const).find(
    (field) => ancestor?.[field] !== lineage?.[field],
  );
  if (!other) return null;
  const [expected, got] = [ancestor, lineage].map((one) => one?.[other] ?? 'none');
  return refuse('wrong-state', `lineage.${other}: expected ${expected}, as its first event says, got ${got}`);
}

/** Takes a piece in; call it only after `refusalOfPart` returned null. */
export function applyPart(state: NetworkState, body: RunPart): void {
  const arrival = state.arriving.get(body.run)!;
  if (sizeOf(arrival.parts) + body.bytes.length < arrival.size_bytes) {
    arrival.parts.push(body.bytes);
    arrival.blobs.push(...body.blobs);
    return;
  }
  const run = arrivedRun(state, body);
  if ('code' in run) return;
  state.arriving.delete(body.run);
  state.runs.set(body.run, { ...run, balances_since: state.events });
}
