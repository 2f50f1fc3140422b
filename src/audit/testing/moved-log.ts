// Handmade logs between which a run moves, for tests of audits: what hubs and owners write, by the real core and with real proofs.
import type { RunArrived } from '../../core/events/run-arrived.ts';
import { foreignEvent } from '../../core/moving/foreign-event.ts';
import { movedOf } from '../../core/moving/leaving.ts';
import { encodeMovedRun } from '../../core/moving/moved-run.ts';
import { neededBlobs } from '../../core/rounds/needed-blobs.ts';
import { sessionOf } from '../../core/rounds/presence.ts';
import { partsOf } from '../../core/testing/foreign-run.ts';
import { takeApart } from '../../ledger/checkpoint.ts';
import { originOf } from '../../ledger/key-names.ts';
import type { TransparencyLog } from '../../ledger/transparency-log.ts';
import type { OtherLog } from '../follow.ts';
import { PublicLogError } from '../public-log.ts';
import { type ExampleLog, publicLogOf } from './example-log.ts';

export const urlOf = ({ hub }: Pick<ExampleLog, 'hub'>): string => `http://${hub.id.slice(0, 8)}.example`;

/** What a run takes along, as its owner brings it elsewhere. */
export interface Luggage {
  readonly run: string;
  readonly created: Uint8Array;
  readonly bytes: Uint8Array;
  readonly blobs: readonly string[];
  /** The index of its departure. */
  readonly index: number;
}

/** The owner pauses its run and sends it to the other hub, and the hub lets it go. */
export async function depart(from: ExampleLog, to: ExampleLog, created = createdIn(from)): Promise<Luggage> {
  const { run, open, owner, hub } = from;
  const at = () => ({ version: 1, run, round: open.round, attempt: open.attempt }) as const;
  await from.add(owner, { type: 'run.paused', ...at() });
  await from.add(owner, { type: 'run.leaving', ...at(), to: to.hub.id, url: urlOf(to) });
  const bytes = encodeMovedRun(from.state, open);
  const blobs = neededBlobs(open).map(([, hash]) => hash);
  await from.add(hub, movedOf(from.state, open));
  return { run, created, bytes, blobs, index: from.entries.length - 1 };
}

/** The bytes of the first event of a log's run. */
export const createdIn = ({ entries, run }: ExampleLog): Uint8Array =>
  entries.find(({ event }) => event.id === run)!.bytes;

/** The arrival as its owner writes it. @param log where the departure is: the first hub's log, or another that it has signed */
export async function arrivalOf(from: ExampleLog, { run, created, index }: Luggage, log: TransparencyLog = from.log) {
  const { note, size } = await log.checkpoint();
  const head = takeApart(note, { name: originOf(from.hub.id), id: from.hub.id });
  const [event] = log.read(index, index + 1);
  const moved = foreignEvent(from.hub.id, head, { index, event, inclusion_proof: log.inclusionProof(index, size) });
  return { type: 'run.arrived', version: 1, run, created, moved, url: urlOf(from) } satisfies RunArrived;
}

/** The owner brings the run, which is then paused in the other log. */
export async function arrive(into: ExampleLog, arrived: RunArrived, luggage: Luggage): Promise<void> {
  into.run = luggage.run;
  await into.add(into.owner, arrived);
  for (const part of partsOf(luggage.run, luggage.bytes, luggage.blobs)) await into.add(into.owner, part);
}

/** The run goes on: its owner resumes it, and everybody joins again. */
export async function goOn(log: ExampleLog): Promise<void> {
  const { round, attempt } = log.open;
  await log.add(log.owner, { type: 'run.resumed', version: 1, run: log.run, round, attempt });
  const session = (id: string) => sessionOf(log.open, id).session;
  for (const { identity } of log.workers) await log.join(identity, 'worker', session(identity.id));
  await log.join(log.vera, 'validator', session(log.vera.id));
}

/** A run moves from one log to another and goes on there. */
export async function move(from: ExampleLog, to: ExampleLog, created = createdIn(from)): Promise<Luggage> {
  const luggage = await depart(from, to, created);
  await arrive(to, await arrivalOf(from, luggage), luggage);
  await goOn(to);
  return luggage;
}

/** Opens these logs and no others. `asked` gathers the hubs that were asked for. */
export function openerOf(logs: readonly TransparencyLog[], asked: string[] = [], is_copy = false) {
  return async (hub: string, url: string): Promise<OtherLog> => {
    asked.push(hub);
    const log = logs.find(({ origin }) => origin === originOf(hub));
    if (!log) throw new PublicLogError('unreachable', `nothing answers at ${url}`);
    return { log: await publicLogOf(log), is_copy };
  };
}
