// A hub that lies to the one who asks: some of its receipts name another place in the log than the event has, and so prove nothing.
import { decodeEvent } from '../core/codec.ts';
import type { Receipt } from '../ledger/receipt.ts';
import type { Channel } from '../protocol/channel.ts';
import { decodeFromHub, encodeMessage } from '../protocol/messages.ts';
import { seededRandom } from '../protocol/random.ts';

/** In one history of so many the hub lies, of so many measurements about one. Drawn apart, so that all else stays what it was. */
const LIARS_ONE_IN = 3;
const LIES_ONE_IN = 2;

export interface FalseReceipts {
  /** Whether an answer about this event was made up. */
  has(event: string): boolean;
  /** What the hub says over this channel is said with lies in it. */
  tell(channel: Channel): void;
}

/** @param entries the durable log; only measurements of a model are lied about, after which a peer goes on as it was */
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
