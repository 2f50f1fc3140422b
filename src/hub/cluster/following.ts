// Keeps a follower's log, tree and state up with what the leader writes: from the bus, which is fast and may lose, and from the journal, which has all.

import { CodedError } from '../../errors.ts';
import { LedgerError } from '../../ledger/errors.ts';
import { type Batch, decodeBatch } from '../../ledger/journal.ts';
import type { FollowedLog } from '../../ledger/replica.ts';
import type { SignedCheckpoint, TransparencyLog } from '../../ledger/transparency-log.ts';
import type { Clock, Timer } from '../../protocol/clock.ts';
import { HubError } from '../errors.ts';
import type { Sequencer } from '../sequencer.ts';
import type { Bus } from './bus.ts';
import { decodeBusMessage, type Subjects } from './subjects.ts';
import { mustHaveRules } from './without-key.ts';

/**
 * So often the journal is read, whatever the bus says: a message may be lost, the leader silent, or the bus gone, and a journal that does not answer
 * must be noticed. So does who leads: another process may have taken over while this one stood still, and nobody asks this one for anything that the
 * journal would refuse. A store that is paid by the request takes half a dollar a month for it.
 */
const LOOK_MS = 2000;
/** How long a receipt waits for a head that the leader signs. */
const HEAD_MS = 10_000;

export interface FollowingOptions {
  readonly store: FollowedLog;
  readonly log: Pick<TransparencyLog, 'grow' | 'hear' | 'size'>;
  readonly sequencer: Pick<Sequencer, 'takeIn' | 'leads'>;
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly clock: Clock;
  /** Called with the name of the process that has written something new. */
  onLeader(instance: string): void;
  /** Asks the leader for a head of at least so many entries: its note. */
  askHead(least_size: number): Promise<string>;
  /** The leader's log cannot be followed: what this process shows may be wrong, and it must end. */
  onBroken(error: unknown): void;
  /** The journal cannot be read now; it is tried again. */
  onError(error: unknown): void;
}

export interface Following {
  /** How long the journal has not answered, although it was asked. */
  journalSilent_ms(): number;
  /** Reads whatever the journal has. Throws as the journal does. */
  catchUp(): Promise<void>;
  /** The newest head that was heard; it has at least so many entries. Throws HubError `no-leader`. */
  head(least_size: number): Promise<SignedCheckpoint>;
  /** Takes in nothing more. */
  close(): void;
}

export function openFollowing(options: FollowingOptions): Following {
  const { store, log, sequencer, bus, subjects, clock } = options;
  let closed = false;
  let catching: Promise<void> | null = null;
  /** When the journal was asked what it has not answered yet; null where it has answered. */
  let asked_ms: number | null = null;
  let timer: Timer;
  const heads = openHeads(options);

  const keep = (batch: Batch): void => {
    log.grow(batch.entries);
    sequencer.takeIn(batch.entries);
  };
  /** Every error of what cannot be followed ends this process; a journal that cannot be reached does not. */
  const guarded = (error: unknown): void => {
    const passes = error instanceof LedgerError && error.code === 'journal-unreachable';
    if (passes) options.onError(error);
    else options.onBroken(error);
  };
  const catchUp = (): Promise<void> => {
    asked_ms ??= clock.elapsed_ms();
    catching ??= store
      .catchUp(keep)
      .then(() => {
        asked_ms = null;
      })
      .finally(() => {
        catching = null;
      });
    return catching;
  };
  const hear = (bytes: Uint8Array): void => {
    if (closed || sequencer.leads) return;
    const { leader, batch, note, rules } = decodeBusMessage('batch', bytes);
    mustHaveRules(rules);
    const taken = batch === null ? 'gap' : take(decodeBatch(batch));
    if (taken !== 'known') options.onLeader(leader);
    if (taken === 'gap') void catchUp().then(() => heads.hear(note), guarded);
    else heads.hear(note);
  };
  const take = (batch: Batch): 'kept' | 'known' | 'gap' => {
    const taken = store.take(batch);
    if (taken === 'kept') keep(batch);
    return taken;
  };
  const subscription = bus.subscribe(subjects.batch, (bytes) => {
    try {
      hear(bytes);
    } catch (error) {
      // A message that is none says nothing about the journal.
      if (error instanceof CodedError && error.code === 'malformed') options.onError(error);
      else guarded(error);
    }
  });
  const look = (): void => {
    timer = clock.setTimeout(() => {
      void catchUp()
        .catch(guarded)
        .finally(() => closed || look());
    }, LOOK_MS);
  };
  look();

  return {
    journalSilent_ms: () => (asked_ms === null ? 0 : clock.elapsed_ms() - asked_ms),
    catchUp,
    head: heads.of,
    close() {
      closed = true;
      subscription.close();
      clock.clearTimeout(timer);
    },
  };
}

/** The newest head that the leader has signed and this process has the entries of. */
function openHeads({ log, clock, askHead, onBroken }: FollowingOptions) {
  let newest: SignedCheckpoint | null = null;
  const hear = (note: string): void => {
    try {
      const head = log.hear(note);
      if (head && head.size >= (newest?.size ?? 0)) newest = head;
    } catch (error) {
      // Another tree under the same key: the journal and this copy do not agree.
      onBroken(error);
    }
  };
  return {
    hear,
    async of(least_size: number): Promise<SignedCheckpoint> {
      const until_ms = clock.elapsed_ms() + HEAD_MS;
      while (!newest || newest.size < least_size) {
        hear(await askHead(Math.max(least_size, 1)));
        if (newest && newest.size >= least_size) break;
        if (clock.elapsed_ms() > until_ms) throw new HubError('no-leader', 'no head of the log came; try again later');
        await new Promise<void>((resolve) => void clock.setTimeout(resolve, 20));
      }
      return newest;
    },
  };
}
