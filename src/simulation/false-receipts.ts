// A hub that lies to one peer: some of its receipts name a wrong position in the log, so they prove nothing.
import { decodeEvent } from '../core/codec.ts';
import type { Receipt } from '../ledger/receipt.ts';
import type { Channel } from '../protocol/channel.ts';
import { encodeMessage } from '../protocol/encode-message.ts';
import { decodeFromHub } from '../protocol/from-hub.ts';
import { seededRandom } from '../protocol/random.ts';

/** The hub lies in one of so many histories, and about one of so many measurements. A random stream of its own leaves everything else as it was. */
const LIARS_ONE_IN = 3;
const LIES_ONE_IN = 2;

export interface FalseReceipts {
  /** Whether an answer about this event was made up. */
  has(event: string): boolean;
  /** Puts lies into what the hub sends over this channel. */
  tell(channel: Channel): void;
}

/** @param entries the durable log; the hub lies only about measurements of a model, because a peer goes on unchanged after them */
export function falseReceipts(seed: number, entries: readonly Uint8Array[]): FalseReceipts {
  const random = seededRandom('false receipts', seed);
  const lies = new Set<string>();
  if (random.below(LIARS_ONE_IN) > 0) return { has: () => false, tell: () => {} };
  const word = Buffer.from('accepted');
  const spoiled = (frame: Uint8Array): Uint8Array => {
    if (!Buffer.from(frame).includes(word)) return frame;
    const message = decodeFromHub(frame);
    if (message.type !== 'accepted') return frame;
    const receipt = message.receipt as Receipt;
    const { body } = decodeEvent(entries[receipt.index], { verify_signature: false });
    if (body.type !== 'model.evaluated' || random.below(LIES_ONE_IN) > 0) return frame;
    lies.add(message.event);
    return encodeMessage({ ...message, receipt: { ...receipt, index: receipt.index + 1 } });
  };
  return {
    has: (event) => lies.has(event),
    tell(channel) {
      const send = channel.send.bind(channel);
      channel.send = (frame) => send(spoiled(frame));
    },
  };
}
