// A run that another hub's log has let go to this one, ready to be brought: made of signed events, the same every time.
import { openEvent, signEvent } from '../../protocol/envelope.ts';
import type { Identity } from '../../protocol/identity.ts';
import type { RunArrived } from '../events/run-arrived.ts';
import type { RunCreated } from '../events/run-created.ts';
import type { RunPart } from '../events/run-part.ts';
import type { EventBody } from '../events.ts';
import { LOGS_LIMITS } from '../limits.ts';
import { movedOf, takenAlong } from '../moving/leaving.ts';
import { apply } from '../reduce.ts';
import { neededBlobs } from '../rounds/needed-blobs.ts';
import { initialState, type NetworkState, type RunState } from '../state.ts';
import { EXAMPLE_RUN, exampleRules } from './example-events.ts';
import { foreignLog } from './foreign-log.ts';

/** A run whose owner really signed its first event, because the bytes of that event name it. */
export interface SignedRun {
  readonly id: string;
  readonly created: Uint8Array;
  readonly body: RunCreated;
}

/** A run that has left a log: what its owner says at the other one. */
export interface Departure {
  readonly owner: Identity;
  readonly run: string;
  /** What it takes along. */
  readonly bytes: Uint8Array;
  readonly arrived: RunArrived;
  readonly parts: readonly RunPart[];
}

/** @param hub in whose log it begins; missing: it does not say */
export async function signedRun(owner: Identity, hub?: string): Promise<SignedRun> {
  const emission = { shares_per_round: 1000, halving_rounds: 2, owner_permille: 180, workers_permille: 410 };
  const body: RunCreated = {
    ...{ ...EXAMPLE_RUN, params: 'a'.repeat(64), model: 'b'.repeat(64), rounds: 30, round_ms: 1000, judging_ms: 400 },
    ...{ min_workers: 1, checkpoint_every: 2, created_ms: 0, ...(hub !== undefined && { hub }) },
    rules: exampleRules({ ...emission, validators_permille: 410 }),
  };
  const created = await signEvent(owner, body);
  return { id: openEvent(created).id, created, body };
}

/** What a run takes along as events, with the blobs that it needs named in the first. */
export function partsOf(run: string, bytes: Uint8Array, blobs: readonly string[]): RunPart[] {
  const size = LOGS_LIMITS.part_bytes;
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, part) => ({
    ...{ type: 'run.part', version: 1, run, part, bytes: bytes.slice(part * size, (part + 1) * size) },
    blobs: part === 0 ? [...new Set(blobs)] : [],
  }));
}

let serial = 0;
function happen(state: NetworkState, author: string, body: EventBody, id?: string): void {
  const refusal = apply(state, { id: id ?? `${++serial}`.padStart(64, '9'), author, body });
  if (refusal) throw new Error(`${body.type}: ${refusal.message}`);
}

/** A log with one paused run in it. */
export function logWith(hub: string, owner: string, { id, body }: SignedRun): { state: NetworkState; run: RunState } {
  const state = initialState(hub);
  happen(state, owner, body, id);
  happen(state, owner, { type: 'run.paused', version: 1, run: id, round: 0, attempt: 0 });
  return { state, run: state.runs.get(id)! };
}

/** A paused run leaves its log for the hub `to`. */
export async function departure(
  { state, run }: { readonly state: NetworkState; readonly run: RunState },
  { hub, owner, created }: { readonly hub: Identity; readonly owner: Identity; readonly created: Uint8Array },
  to: string,
): Promise<Departure> {
  const { id, round, attempt } = run;
  happen(state, owner.id, { type: 'run.leaving', version: 1, run: id, round, attempt, to, url: 'http://b.example' });
  const bytes = takenAlong(state, run);
  const blobs = neededBlobs(run).map(([, hash]) => hash);
  const moved = movedOf(state, run);
  happen(state, hub.id, moved);
  const log = foreignLog(hub);
  log.entries.push(created, await signEvent(hub, { ...moved }), created);
  const arrived: RunArrived = {
    ...{ type: 'run.arrived', version: 1, run: id, created, moved: await log.prove(1), url: 'http://a.example' },
  };
  return { owner, run: id, bytes, arrived, parts: partsOf(id, bytes, blobs) };
}
