// Moves a run to another hub for its owner: pauses it, sends it away, and brings what it takes along, with the proof, to the other hub's log.
import { openBlobFolder } from '#blob-folder';
import { type RunArrived, RunArrivedSchema } from '../core/events/run-arrived.ts';
import { RunCreatedSchema } from '../core/events/run-created.ts';
import { type RunMoved, RunMovedSchema } from '../core/events/run-moved.ts';
import { LOGS_LIMITS } from '../core/limits.ts';
import type { ForeignEvent } from '../core/moving/foreign-event.ts';
import { decodeMovedRun } from '../core/moving/moved-run.ts';
import { neededBlobs } from '../core/rounds/needed-blobs.ts';
import { partsNamedIn } from '../games/state.ts';
import { openPeerBlobs, type PeerBlobs } from '../peer/blobs.ts';
import { findRun } from '../peer/find-run.ts';
import { provenEntry } from '../peer/proven-entry.ts';
import { sendEvent } from '../peer/send-event.ts';
import { openEvent, signEvent } from '../protocol/envelope.ts';
import type { Identity } from '../protocol/identity.ts';
import type { RunStatus } from '../protocol/messages.ts';
import { PeerError } from '../protocol/peer-errors.ts';
import { accountOn } from './account.ts';
import { OwnerError } from './errors.ts';
import { sayOfRun } from './run-life.ts';

const LIMITS = {
  look_ms: 300, // between looks at a run that is to pause, or to be let go
  searched_bytes: 32 << 20, // up to the manifest of the largest data set
} as const;

export interface MoveOptions {
  /** The hub that the run leaves, as others reach it: who audits the other log reads the run's past here. */
  readonly url: string;
  /** The hub that it goes to, as devices reach it. */
  readonly to: string;
  readonly owner: Identity;
  /** The beginning of the run's id, or its name. */
  readonly wanted: string;
  /** Where blobs are kept on their way. */
  readonly folder: string;
  /** The run stays paused there. */
  readonly stays_paused: boolean;
  readonly onStep: (step: MoveStep) => void;
}

export type MoveStep =
  | { readonly do: 'pausing' | 'leaving' | 'bringing' | 'resuming' }
  | { readonly do: 'copying'; readonly done: number; readonly blobs: number };

export interface Moved {
  readonly run: string;
  readonly name: string;
  readonly from: string;
  readonly to: string;
  readonly merged_rounds: number;
  readonly rounds: number;
  /** What it took along. */
  readonly state_bytes: number;
  readonly blobs: number;
}

/**
 * Moves a run. What was begun before is gone on with: a run that has left is brought, parts that are there are not brought twice.
 * Throws OwnerError `not-the-owner`, PeerError `no-such-run`, `refused`, `hub-unreachable`, `not-a-hub`, `bad-blob`.
 */
export async function moveRun(options: MoveOptions): Promise<Moved> {
  const { url, to, owner, wanted, folder, onStep } = options;
  const { hub, view: found } = await findRun(url, wanted);
  if (found.owner !== owner.id) {
    throw new OwnerError('not-the-owner', `only the owner ${found.owner} can move run ${found.run}, got ${owner.id}`);
  }
  const there = await accountOn(to, owner.id);
  if (found.moved && found.moved.hub !== there.hub) {
    throw new PeerError('refused', `the run has gone to the hub ${found.moved.hub}, at ${found.moved.url}`, {
      refusal: 'run-moved',
    });
  }
  if (!found.moved && found.phase === 'finished') {
    throw new PeerError('refused', 'the run is finished: nothing of it is left to go on elsewhere', {
      refusal: 'wrong-phase',
    });
  }
  if (!found.moved && there.run_refusal) {
    throw new PeerError('refused', there.run_refusal.message, { refusal: there.run_refusal.code });
  }
  const gone = await goAway(options, found, there.hub);
  const { entry, index } = gone.moved!;
  onStep({ do: 'bringing' });
  const [brought, left] = [
    await provenEntry(url, hub, `/log/proof/${entry}`),
    await provenEntry(url, hub, `/log/proof/${index}`),
  ];
  const departure = RunMovedSchema.parse(openEvent(left.event).body);
  const { created, way } = broughtBy(brought.event);
  const cache = openBlobFolder(folder);
  const here = openPeerBlobs({ url, hub, identity: owner, cache });
  const target = openPeerBlobs({ url: to, hub: there.hub, identity: owner, cache });
  try {
    const bytes = await here.fetch(departure.state);
    const needed = blobsOf(created, bytes);
    const copied = await copyBlobs(here, target, needed, onStep);
    const about = { created, moved: left, url, ...(way.length > 0 && { way }) };
    const arrived: RunArrived = { type: 'run.arrived', version: 1, run: found.run, ...about };
    await bring(options, departure, RunArrivedSchema.parse(arrived), bytes, needed);
    if (!options.stays_paused) {
      onStep({ do: 'resuming' });
      await sayOfRun(to, owner, found.run, 'run.resumed');
    }
    const { run, name, round: merged_rounds, rounds } = gone;
    const size = { state_bytes: bytes.length, blobs: copied };
    return { run, name, from: hub, to: there.hub, merged_rounds, rounds, ...size };
  } finally {
    here.close();
    target.close();
  }
}

/** The run is let go by its log; at once where it has left already. */
async function goAway({ url, to, owner, onStep }: MoveOptions, found: RunStatus, hub: string): Promise<RunStatus> {
  if (found.moved) return found;
  const { run } = found;
  if (found.phase !== 'paused') {
    onStep({ do: 'pausing' });
    await sayOfRun(url, owner, run, 'run.paused');
  }
  const { round, attempt } = await untilRun(url, run, ({ phase }) => phase === 'paused' || phase === 'finished');
  onStep({ do: 'leaving' });
  await sendEvent(
    url,
    await signEvent(owner, { type: 'run.leaving', version: 1, run, round, attempt, to: hub, url: to }),
  );
  return untilRun(url, run, ({ moved }) => moved !== undefined);
}

async function untilRun(url: string, run: string, isSo: (view: RunStatus) => boolean): Promise<RunStatus> {
  for (;;) {
    const { view } = await findRun(url, run);
    if (isSo(view)) return view;
    await new Promise((resolve) => setTimeout(resolve, LIMITS.look_ms));
  }
}

/** The bytes of the run's first event, and the departures that have led to this log: the entry that brought the run says so. */
function broughtBy(event: Uint8Array): { readonly created: Uint8Array; readonly way: ForeignEvent[] } {
  const { body } = openEvent(event);
  if (body.type !== 'run.arrived') return { created: event, way: [] };
  const { created, moved, way = [] } = RunArrivedSchema.parse(body);
  return { created, way: [...way, moved] };
}

/** The blobs that peers need of a run that takes this along. */
function blobsOf(created: Uint8Array, state: Uint8Array): string[] {
  const carried = decodeMovedRun(state);
  if ('code' in carried) throw new PeerError('bad-blob', carried.message);
  const spec = RunCreatedSchema.parse(openEvent(created).body);
  return [...new Set(neededBlobs({ spec, ...carried, submissions: new Map() }).map(([, hash]) => hash))];
}

/** Copies blobs with all that they name: the settings their text, a model its parts. Returns how many there are. */
async function copyBlobs(
  here: PeerBlobs,
  target: PeerBlobs,
  needed: readonly string[],
  onStep: MoveOptions['onStep'],
): Promise<number> {
  const [settings] = needed;
  const searched = new Set([settings]);
  const todo = [...needed];
  for (let done = 0; done < todo.length; done++) {
    onStep({ do: 'copying', done, blobs: todo.length });
    const hash = todo[done];
    const bytes = await here.fetch(hash);
    const named = [...partsNamedIn(bytes)];
    if (searched.has(hash) && bytes.length <= LIMITS.searched_bytes) {
      for (const one of namesIn(bytes)) {
        if (todo.includes(one) || !(await here.has(one))) continue;
        named.push(one);
        if (hash === settings) searched.add(one);
      }
    }
    for (const one of named) if (!todo.includes(one)) todo.push(one);
    if (!(await target.has(hash))) await target.upload(bytes);
  }
  return todo.length;
}

/** What may be the names of blobs in settings or a manifest: a game defines its own. */
const namesIn = (bytes: Uint8Array): Set<string> =>
  new Set(
    [...new TextDecoder().decode(bytes).matchAll(/(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])/g)].map(([name]) => name),
  );

/** Says it all to the other log. What is there already, from a time that broke off, is answered as if it were new. */
async function bring(
  { to, owner }: MoveOptions,
  { run }: RunMoved,
  arrived: RunArrived,
  bytes: Uint8Array,
  blobs: readonly string[],
): Promise<void> {
  try {
    await sendEvent(to, await signEvent(owner, { ...arrived }));
  } catch (error) {
    if (!(error instanceof PeerError && error.details.refusal === 'run-exists')) throw error;
    const { view } = await findRun(to, run).catch(() => ({ view: null }));
    if (view) return;
  }
  for (const [part, said] of piecesOf(bytes, blobs).entries()) {
    await sendEvent(to, await signEvent(owner, { type: 'run.part', version: 1, run, part, ...said }));
  }
}

/** What is said in parts: the names of blobs first where they are many, then the bytes. */
function piecesOf(bytes: Uint8Array, blobs: readonly string[]): { bytes: Uint8Array; blobs: string[] }[] {
  const { part_bytes, part_blobs } = LOGS_LIMITS;
  const names = Array.from({ length: Math.ceil(blobs.length / part_blobs) }, (_, i) => ({
    bytes: new Uint8Array(0),
    blobs: blobs.slice(i * part_blobs, (i + 1) * part_blobs),
  }));
  const pieces = Array.from({ length: Math.ceil(bytes.length / part_bytes) }, (_, i) => ({
    bytes: bytes.slice(i * part_bytes, (i + 1) * part_bytes),
    blobs: [] as string[],
  }));
  return [...names, ...pieces];
}
