// A log that follows a registry, beside the registry's log: which revocations it has not taken in, and whether its hub had them before its eyes.
import type { RegistrySeen } from '../core/events/registry-seen.ts';
import type { LoggedEvent } from '../core/events.ts';
import { LOGS_LIMITS } from '../core/limits.ts';
import { type Fact, refusalOfFacts } from '../core/registry/facts.ts';
import type { NetworkState } from '../core/state.ts';
import { assembleCheckpoint } from '../ledger/checkpoint.ts';
import { originOf } from '../ledger/key-names.ts';
import type { FollowOptions, OtherLog } from './follow.ts';
import { HeadCheck } from './heads.ts';
import type { AuditPool } from './pool.ts';
import { AuditFailure, type PublicLog, PublicLogError } from './public-log.ts';
import { replayLog } from './replay.ts';

/** Whoever has made a hub chooses its registry, so strangers decide how much there is to read. */
const MOST_ENTRIES = 20_000_000; // some hours

/** A revocation in the registry's log that this log does not have, of a device that it knows. */
export interface MissingRevocation {
  readonly device: string;
  readonly owner: string;
  /** Its index in the registry's log. */
  readonly entry: number;
  /** The event of this log with which the hub said that it has seen so much of the registry; null: it never did. */
  readonly stated: number | null;
  /** The last event of this log before which nobody could have taken it in: `stated`, or the last look at the registry. */
  readonly since: number;
  /** The events of this log after that, and the time by its clock. */
  readonly events: number;
  readonly ms: number;
  /** What was credited to the device in these events, by run, in the unit of the run's work. */
  readonly credited: readonly { readonly run: string; readonly amount: number; readonly works: number }[];
}

export interface RegistryReport {
  readonly hub: string;
  readonly url: string;
  /** How many entries of the registry this log has seen, and how many there are now; null where they were not read. */
  readonly seen: number;
  readonly entries: number | null;
  /** Why the registry's log was not compared; null: it was. */
  readonly reason: string | null;
  readonly missing: readonly MissingRevocation[];
}

/** What the audited log says of its registry last. */
export class RegistryWatch {
  #last: RegistrySeen | null = null;

  after({ body }: LoggedEvent): void {
    if (body.type === 'registry.seen') this.#last = body;
  }

  get last(): RegistrySeen | null {
    return this.#last;
  }
}

interface Revocation {
  readonly fact: Fact;
  readonly device: string;
  readonly entry: number;
}

/**
 * Reads the registry of a log and compares: null where the log has none. Throws AuditFailure `held-back` where the hub has signed that it saw a
 * revocation, and left it out of what it took in; PublicLogError. A registry that cannot be read, or whose own log is not true, is reported.
 */
export async function compareRegistry(
  log: PublicLog,
  state: NetworkState,
  { last }: RegistryWatch,
  options: { readonly pool: AuditPool; readonly open?: FollowOptions['open'] },
): Promise<RegistryReport | null> {
  if (!last) return null;
  const known = { hub: last.registry, url: last.url, seen: last.head.size };
  const read = options.open ? await readRegistry(last, state, options.pool, options.open) : 'not asked for';
  if (typeof read === 'string') return { ...known, entries: null, reason: read, missing: [] };
  const missing = read.revocations.length > 0 ? await lookedUp(log, read.revocations, last.registry, options.pool) : [];
  return { ...known, entries: read.entries, reason: null, missing };
}

/** The revocations of devices that the audited log still believes; or why the registry's log does not say it. */
async function readRegistry(
  { registry, url, head }: RegistrySeen,
  state: NetworkState,
  pool: AuditPool,
  open: FollowOptions['open'],
): Promise<{ readonly entries: number; readonly revocations: readonly Revocation[] } | string> {
  const parts = { size: head.size, root: Buffer.from(head.root, 'hex'), signature: Buffer.from(head.signature, 'hex') };
  const note = assembleCheckpoint(parts, { name: originOf(registry), id: registry });
  const heads = [{ size: head.size, root: parts.root, note, from: 'this log' }];
  const revocations: Revocation[] = [];
  let other: OtherLog | null = null;
  try {
    other = await open(registry, url);
    const { log } = other;
    if (log.size > MOST_ENTRIES) return `its log has ${log.size} entries, an audit reads at most ${MOST_ENTRIES}`;
    if (log.size < head.size) return `${log.where} has ${log.size} entries, and the hub has seen ${head.size}`;
    await replayLog(log, {
      ...{ pool, heads: new HeadCheck(registry, heads) },
      after({ author, body }, entry) {
        if (body.type !== 'device.revoked') return;
        const here = state.devices.get(body.device);
        if (here?.owner === author && !here.revoked)
          revocations.push({ fact: { author, body }, device: body.device, entry });
      },
    });
    return { entries: log.size, revocations };
  } catch (error) {
    // What the registry does is the business of its own audit: this log rests on what devices and owners have signed.
    if (error instanceof AuditFailure) return `its log is not true: ${error.code}: ${error.message}`;
    if (error instanceof PublicLogError && error.code !== 'broken-state') return error.message;
    throw error;
  } finally {
    other?.log.close();
  }
}

/** What is known of a device at a moment of the audited log. */
interface Moment {
  readonly index: number;
  readonly time_ms: number;
  readonly credit: ReadonlyMap<string, { readonly amount: number; readonly works: number }>;
}

/** Replays the audited log, which was found true, to see what it knew and did. Throws AuditFailure `held-back`. */
async function lookedUp(
  log: PublicLog,
  revocations: readonly Revocation[],
  registry: string,
  pool: AuditPool,
): Promise<MissingRevocation[]> {
  const stated = new Map<Revocation, Moment>();
  const looked = new Map<Revocation, Moment>();
  const left: { revocation: Revocation; index: number; author: string }[] = [];
  const { state } = await replayLog(log, {
    ...{ pool, verify_signatures: false },
    before({ author, body }, index, state) {
      if (body.type !== 'registry.seen') return;
      for (const revocation of revocations) {
        const isFirst = !left.some((one) => one.revocation === revocation);
        if (isFirst && leavesOut(state, body, revocation, registry)) left.push({ revocation, index, author });
      }
    },
    after({ body }, index, state) {
      if (body.type !== 'registry.seen') return;
      for (const revocation of revocations) {
        const moment = momentOf(state, revocation.device, index);
        looked.set(revocation, moment);
        if (body.head.size > revocation.entry && !stated.has(revocation)) stated.set(revocation, moment);
      }
    },
  });
  const missing = revocations.map((revocation): MissingRevocation => {
    const { fact, device, entry } = revocation;
    const since = stated.get(revocation) ?? looked.get(revocation)!;
    return {
      ...{ device, owner: fact.author, entry, stated: stated.get(revocation)?.index ?? null, since: since.index },
      ...{ events: state.events - 1 - since.index, ms: state.time_ms - since.time_ms },
      credited: creditSince(state, device, since),
    };
  });
  const [first] = left;
  if (!first) return missing;
  const { revocation, index, author } = first;
  throw heldBack(missing[revocations.indexOf(revocation)], { index, author, registry });
}

/**
 * Whether a look at the registry leaves out what a hub that follows it takes in: the head has the revocation, the log knew the device before
 * and could take it in, and there was room, or something that came later was taken instead.
 */
function leavesOut(state: NetworkState, body: RegistrySeen, { fact, entry }: Revocation, registry: string): boolean {
  const { head, facts } = body;
  if (head.size <= entry) return false;
  const isFull = facts.length === LOGS_LIMITS.registry_facts && facts.every(({ index }) => index < entry);
  return !isFull && refusalOfFacts(state, registry, [fact]) === null;
}

function momentOf(state: NetworkState, device: string, index: number): Moment {
  const credit = [...state.runs.values()].flatMap(({ id, peers }) => {
    const peer = peers.get(device);
    return peer ? [[id, { amount: peer.credit_amount, works: peer.merged_submissions }] as const] : [];
  });
  return { index, time_ms: state.time_ms, credit: new Map(credit) };
}

/** What came after a moment. A run that has moved away keeps what it had. */
function creditSince(state: NetworkState, device: string, { credit, index }: Moment): MissingRevocation['credited'] {
  return [...momentOf(state, device, index).credit].flatMap(([run, { amount, works }]) => {
    const had = credit.get(run) ?? { amount: 0, works: 0 };
    const more = { run, amount: amount - had.amount, works: works - had.works };
    return more.amount > 0 || more.works > 0 ? [more] : [];
  });
}

/** What a revocation that is not here has meant, in words. */
export function wordsOfMissing({ device, owner, entry, events, credited }: MissingRevocation): string {
  const works = worksIn(credited);
  const paid = works === 0 ? 'nothing' : `${works} ${works === 1 ? 'work' : 'works'} of it`;
  return `the device ${device}, revoked by ${owner} in entry ${entry} of the registry (credited in the ${events} events since: ${paid})`;
}

const worksIn = (credited: MissingRevocation['credited']): number =>
  credited.reduce((sum, { works }) => sum + works, 0);

function heldBack(
  { credited, ...missing }: MissingRevocation,
  { index, author, registry }: { readonly index: number; readonly author: string; readonly registry: string },
): AuditFailure {
  const message = `the hub has signed what it saw of the registry ${registry}, and left out what it says of ${wordsOfMissing({ ...missing, credited })}`;
  const [works, runs] = [worksIn(credited), credited.map(({ run }) => run)];
  return new AuditFailure('held-back', message, {
    index,
    type: 'registry.seen',
    author,
    registry,
    ...missing,
    works,
    runs,
  });
}
