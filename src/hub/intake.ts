// The way of an event from outside into the log: rate limits, a place for its run, its blobs, the core's check, a receipt.
import { decodeEvent } from '../core/codec.ts';
import { blobsNamedBy, type LoggedEvent } from '../core/events.ts';
import type { StateMachine } from '../core/reduce.ts';
import { assert } from '../errors.ts';
import type { BlobStore } from '../ledger/blob-store.ts';
import type { Receipt } from '../ledger/receipt.ts';
import type { TransparencyLog } from '../ledger/transparency-log.ts';
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
  readonly log: Pick<TransparencyLog, 'receipt'>;
  readonly machine: StateMachine;
  readonly blobs: BlobStore;
  readonly models: Models;
  readonly unnamed: UnnamedBlobs;
  readonly rates: RateLimits;
  readonly policy: RunPolicy;
  readonly abandoned: AbandonedRuns;
}

/** An event in the log, and the hub's signed receipt for it. */
export interface Accepted {
  readonly id: string;
  readonly index: number;
  readonly receipt: Receipt;
}

/**
 * Accepts a signed event; resolves when it is durable. Throws ProtocolError, HubError, GameError or a game's own error.
 * @param address the address that the sender is counted under; null for none
 */
export type Intake = (bytes: Uint8Array, address: string | null) => Promise<Accepted>;

export function openIntake(options: IntakeOptions): Intake {
  const { sequencer, log, unnamed, policy, abandoned } = options;
  const { state } = sequencer;

  const answerOf = async (id: string, index: number): Promise<Accepted> => {
    const receipt = await log.receipt(index);
    assert(receipt.index === index, 'a receipt is for the entry that it was asked for');
    return { id, index, receipt };
  };
  const takeIn = async (bytes: Uint8Array, address: string | null): Promise<Accepted> => {
    const event = decodeEvent(bytes);
    const isRun = event.body.type === 'run.created';
    const mustHavePlace = (): void => {
      if (isRun) policy.check(event.author, address, state, abandoned.now_ms());
    };
    options.rates.take('event_key', event.author);
    mustHavePlace();
    for (const [rate, key] of ratesOf(event, address)) options.rates.take(rate, key);
    const { index } = await unnamed.holding(blobsNamedBy(event.body), async () => {
      await admit(event, state, options.machine, options.blobs, options.models);
      if (isRun) await abandoned.makeRoom(event.author, address);
      mustHavePlace(); // other runs may have come while its blobs were read
      if (isRun) policy.created(event.id, address, state);
      return sequencer.submit(bytes, event);
    });
    return answerOf(event.id, index);
  };

  return async (bytes, address) => {
    try {
      return await takeIn(bytes, address);
    } catch (error) {
      if (!(error instanceof HubError)) throw error;
      if (error.details.refusal === 'too-many-runs') abandoned.wanted();
      // A sender whose connection broke before the answer asks again: the event is in the log once, and the answer is the same.
      const id = sha256Hex(bytes);
      const index = sequencer.indexOf(id);
      if (error.code !== 'refused' || index === undefined) throw error;
      return answerOf(id, index);
    }
  };
}

/** What an event costs its sender, in addition to what every event costs its key. */
export function ratesOf({ author, body }: LoggedEvent, address: string | null): [RateName, string | null][] {
  if (body.type === 'run.created') return [['run_address', address]];
  if (body.type !== 'peer.joined') return [];
  return [
    ['join_key', author],
    ['join_address', address],
  ];
}
