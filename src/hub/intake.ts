// The way of an event from outside into the log: rate limits, a place for its run, its blobs, the core's check, a receipt.
import { decodeEvent } from '../core/codec.ts';
import { blobsNamedBy, type LoggedEvent } from '../core/events.ts';
import type { StateMachine } from '../core/reduce.ts';
import { assert } from '../errors.ts';
import type { BlobStore } from '../ledger/blob-store.ts';
import type { Receipt } from '../ledger/receipt.ts';
import type { Placed, TransparencyLog } from '../ledger/transparency-log.ts';
import type { Receipts } from '../protocol/from-hub.ts';
import { sha256Hex } from '../protocol/hash.ts';
import type { AbandonedRuns } from './abandoned-runs.ts';
import { admit } from './admission.ts';
import { HubError } from './errors.ts';
import type { Models } from './models.ts';
import type { RateLimits, RateName } from './rate-limits.ts';
import type { RunPolicy } from './run-policy.ts';
import type { Sequencer } from './sequencer.ts';
import type { UnnamedBlobs } from './unnamed-blobs.ts';

export interface IntakeOptions {
  readonly sequencer: Sequencer;
  readonly log: Pick<TransparencyLog, 'receipt' | 'proofs'>;
  readonly machine: StateMachine;
  readonly blobs: BlobStore;
  readonly models: Models;
  readonly unnamed: UnnamedBlobs;
  readonly rates: RateLimits;
  readonly policy: RunPolicy;
  readonly abandoned: AbandonedRuns;
}

/** An event in the log. */
export interface Logged extends Placed {
  readonly id: string;
}

/** The same, and the hub's signed receipt for it. */
export interface Accepted extends Logged {
  readonly receipt: Receipt;
}

/** @param address the address that the sender is counted under; null for none */
export interface Intake {
  /** Accepts a signed event; resolves when it is durable. Throws ProtocolError, HubError, GameError or a game's own error. */
  submit(bytes: Uint8Array, address: string | null): Promise<Accepted>;
  /**
   * The same, without a receipt.
   * @param taken called once the event is in the state, where it will be written before whatever is handed in from then on
   */
  take(bytes: Uint8Array, address: string | null, taken?: () => void): Promise<Logged>;
  /** Proves that events are in the log, all in one head. */
  prove(logged: readonly Logged[]): Promise<Omit<Receipts, 'type'>>;
}

export function openIntake(options: IntakeOptions): Intake {
  const { sequencer, log, unnamed, policy, abandoned } = options;
  const { state } = sequencer;

  /** A process that follows may not have heard yet of what an event builds on: before it refuses, it asks for the rest of the log. */
  const admitNow = async (event: LoggedEvent): Promise<void> => {
    const { machine, blobs, models } = options;
    try {
      await admit(event, state, machine, blobs, models);
    } catch (error) {
      if (sequencer.leads || !(error instanceof HubError && error.code === 'refused')) throw error;
      await sequencer.caughtUp();
      await admit(event, state, machine, blobs, models);
    }
  };
  const takeIn = async (bytes: Uint8Array, address: string | null, taken: () => void): Promise<Logged> => {
    const event = decodeEvent(bytes);
    const isRun = event.body.type === 'run.created' || event.body.type === 'run.arrived';
    const mustHavePlace = (): void => {
      if (isRun) policy.check(event.author, address, state, abandoned.now_ms());
    };
    options.rates.take('event_key', event.author);
    mustHavePlace();
    for (const [rate, key] of ratesOf(event, address)) options.rates.take(rate, key);
    const { index } = await unnamed.holding(blobsNamedBy(event.body), async () => {
      await admitNow(event);
      if (isRun) await abandoned.makeRoom(event.author, address);
      mustHavePlace(); // other runs may have come while its blobs were read
      if (isRun) policy.created('run' in event.body ? event.body.run : event.id, address, state);
      const written = sequencer.submit(bytes, event);
      if (sequencer.leads) taken(); // who follows asks the leader, and does not know in which order it takes what it is asked
      return written;
    });
    return { id: event.id, index, bytes };
  };

  const take = async (bytes: Uint8Array, address: string | null, taken = (): void => {}): Promise<Logged> => {
    try {
      return await takeIn(bytes, address, taken);
    } catch (error) {
      if (!(error instanceof HubError)) throw error;
      if (error.details.refusal === 'too-many-runs') abandoned.wanted();
      if (error.code !== 'refused') throw error;
      // What is not written yet may never be, and may be this event itself.
      await sequencer.settled();
      // A sender whose connection broke before the answer asks again: the event is in the log once, and the answer is the same.
      const id = sha256Hex(bytes);
      const index = await sequencer.indexOf(id);
      if (index === undefined) throw error;
      return { id, index, bytes };
    }
  };
  return {
    take,
    async submit(bytes, address) {
      const logged = await take(bytes, address);
      const receipt = await log.receipt(logged.index, bytes);
      assert(receipt.index === logged.index, 'a receipt is for the entry that it was asked for');
      return { ...logged, receipt };
    },
    async prove(logged) {
      const { note: checkpoint, proofs } = await log.proofs(logged);
      return { checkpoint, of: logged.map(({ id: event, index }, i) => ({ event, index, proof: proofs[i] })) };
    },
  };
}

/** What an event costs its sender, in addition to what every event costs its key. */
export function ratesOf({ author, body }: LoggedEvent, address: string | null): [RateName, string | null][] {
  if (body.type === 'run.created' || body.type === 'run.arrived') return [['run_address', address]];
  if (body.type !== 'peer.joined') return [];
  return [
    ['join_key', author],
    ['join_address', address],
  ];
}
