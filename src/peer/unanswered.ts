// Events that a peer has sent and the hub has not answered yet: kept across reconnections, sent again, and done only with a valid receipt.
import { LedgerError } from '../ledger/errors.ts';
import { type Receipt, verifyReceipt } from '../ledger/receipt.ts';
import type { Clock, Timer } from '../protocol/clock.ts';
import { eventId } from '../protocol/envelope.ts';
import { PeerError } from '../protocol/peer-errors.ts';

const LIMITS = {
  too_fast_ms: 1000, // the first wait before an event that came too fast is sent again; each further wait is twice as long
  longest_wait_ms: 10_000,
} as const;

interface Waiting {
  readonly event: Uint8Array;
  /** How often the hub said that it came too fast, and when it is sent again. */
  too_fast: number;
  again: Timer;
  resolve(receipt: Receipt): void;
  reject(error: PeerError): void;
}

export interface Unanswered {
  /** Sends an event. Resolves to the verified receipt. Throws PeerError `refused`, `bad-receipt`, and the error given to `rejectAll`. */
  submit(event: Uint8Array): Promise<Receipt>;
  /** The hub says that an event is in its log. */
  accepted(id: string, receipt: unknown): void;
  reject(id: string, error: PeerError): void;
  /** "Too fast" is not the answer to an event: it is sent again after a while. */
  sendLater(id: string): void;
  /** After a reconnection all are sent again; the core takes nothing twice. */
  sendAll(): void;
  rejectAll(error: PeerError): void;
}

export interface UnansweredOptions {
  /** The hub's id: receipts must be signed by it. */
  readonly hub: string;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Sends an event if there is a connection; otherwise it is sent with the next welcome. */
  readonly send: (event: Uint8Array) => void;
}

export function openUnanswered({ hub, clock, random, send }: UnansweredOptions): Unanswered {
  const waiting = new Map<string, Waiting>();

  const take = (id: string): Waiting | undefined => {
    const found = waiting.get(id);
    waiting.delete(id);
    clock.clearTimeout(found?.again);
    return found;
  };

  return {
    submit: (event) =>
      new Promise((resolve, reject) => {
        waiting.set(eventId(event), { event, too_fast: 0, again: undefined, resolve, reject });
        send(event);
      }),
    accepted(id, receipt) {
      const asked = take(id);
      if (!asked) return;
      try {
        verifyReceipt(receipt, asked.event, hub);
        asked.resolve(receipt as Receipt);
      } catch (error) {
        if (!(error instanceof LedgerError)) throw error;
        asked.reject(new PeerError('bad-receipt', `the hub's receipt for event ${id} is not valid: ${error.message}`));
      }
    },
    reject: (id, error) => take(id)?.reject(error),
    sendLater(id) {
      const asked = waiting.get(id);
      if (!asked) return;
      const wait_ms = Math.min(LIMITS.longest_wait_ms, LIMITS.too_fast_ms * 2 ** asked.too_fast++);
      clock.clearTimeout(asked.again);
      asked.again = clock.setTimeout(() => send(asked.event), wait_ms * (0.5 + random()));
    },
    sendAll() {
      for (const { event } of waiting.values()) send(event);
    },
    rejectAll(error) {
      for (const id of [...waiting.keys()]) take(id)?.reject(error);
    },
  };
}
