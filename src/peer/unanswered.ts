// Events that a peer has sent and the hub has not answered yet: kept across reconnections, sent again, and done only with a valid receipt.
import { LedgerError } from '../ledger/errors.ts';
import { type Receipt, receiptOf, verifyReceipt } from '../ledger/receipt.ts';
import type { Clock, Timer } from '../protocol/clock.ts';
import { eventId } from '../protocol/envelope.ts';
import type { Receipts } from '../protocol/from-hub.ts';
import type { FromPeer, Sent } from '../protocol/from-peer.ts';
import { WIRE_LIMITS } from '../protocol/messages.ts';
import { PeerError } from '../protocol/peer-errors.ts';

const LIMITS = {
  too_fast_ms: 1000, // the first wait before an event that came too fast is sent again; each further wait is twice as long
  longest_wait_ms: 10_000,
} as const;

interface Waiting extends Sent {
  /** How often the hub said that it came too fast, and when it is sent again. */
  too_fast: number;
  again: Timer;
  resolve(receipt: Receipt): void;
  reject(error: PeerError): void;
}

export interface Unanswered {
  /** Sends an event, with a small blob that the hub is to keep first. Resolves to the verified receipt. Throws PeerError `refused`, `bad-receipt`, and the error given to `rejectAll`. */
  submit(event: Uint8Array, enclosed?: Uint8Array | null): Promise<Receipt>;
  /** The hub says that an event is in its log. */
  accepted(id: string, receipt: unknown): void;
  /** It says so of several. */
  acceptedAll(receipts: Receipts): void;
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
  /** Sends a message if there is a connection; otherwise what is in it is sent with the next welcome. */
  readonly send: (message: EventMessage) => void;
}

export function openUnanswered({ hub, clock, random, send }: UnansweredOptions): Unanswered {
  const waiting = new Map<string, Waiting>();
  /** Of these, what the hub has to answer now, and what is sent when it has. */
  const asked = new Set<string>();
  let next: string[] = [];
  let soon: Timer;

  const sendNext = (): void => {
    clock.clearTimeout(soon);
    soon = undefined;
    const all = next.flatMap((id) => waiting.get(id) ?? []);
    for (const id of next) if (waiting.has(id)) asked.add(id);
    next = [];
    for (const message of messagesOf(all)) send(message);
  };
  /** A busy hub answers many events for little more than one: what comes while it has not answered goes together. */
  const sendSoon = (id: string): void => {
    next.push(id);
    if (asked.size === 0 && soon === undefined) sendNext();
  };
  const answered = (id: string): void => {
    if (!asked.delete(id) || asked.size > 0) return;
    // Whoever waited for this answer may have more to say at once.
    soon ??= clock.setTimeout(sendNext, 0);
  };
  const take = (id: string): Waiting | undefined => {
    const found = waiting.get(id);
    waiting.delete(id);
    clock.clearTimeout(found?.again);
    answered(id);
    return found;
  };
  const accepted = (id: string, receiptFor: (event: Uint8Array) => unknown): void => {
    const found = take(id);
    if (!found) return;
    try {
      const receipt = receiptFor(found.event);
      verifyReceipt(receipt, found.event, hub);
      found.resolve(receipt as Receipt);
    } catch (error) {
      if (!(error instanceof LedgerError)) throw error;
      found.reject(new PeerError('bad-receipt', `the hub's receipt for event ${id} is not valid: ${error.message}`));
    }
  };

  return {
    submit: (event, enclosed = null) =>
      new Promise((resolve, reject) => {
        const sent = { event, ...(enclosed && { enclosed }) };
        const id = eventId(event);
        waiting.set(id, { ...sent, too_fast: 0, again: undefined, resolve, reject });
        sendSoon(id);
      }),
    accepted: (id, receipt) => accepted(id, () => receipt),
    acceptedAll({ checkpoint: note, of }) {
      for (const { event: id, index, proof } of of) accepted(id, (event) => receiptOf(event, { index, note, proof }));
    },
    reject: (id, error) => take(id)?.reject(error),
    sendLater(id) {
      const found = waiting.get(id);
      if (!found) return;
      const wait_ms = Math.min(LIMITS.longest_wait_ms, LIMITS.too_fast_ms * 2 ** found.too_fast++);
      clock.clearTimeout(found.again);
      found.again = clock.setTimeout(() => sendSoon(id), wait_ms * (0.5 + random()));
      answered(id);
    },
    sendAll() {
      asked.clear();
      next = [...waiting.keys()];
      sendNext();
    },
    rejectAll(error) {
      for (const id of [...waiting.keys()]) take(id)?.reject(error);
    },
  };
}

type EventMessage = Extract<FromPeer, { type: 'event' | 'events' }>;

/** What a message takes beside its events, and each event beside its bytes: a few names and lengths. */
const OVERHEAD_BYTES = 32;

/** Events in as few messages as the hub takes them in, in their order. */
export function messagesOf(all: readonly Sent[]): EventMessage[] {
  const groups: Sent[][] = [];
  let size_bytes = 0;
  for (const { event, enclosed } of all) {
    const more_bytes = event.length + (enclosed?.length ?? 0) + OVERHEAD_BYTES;
    size_bytes += more_bytes;
    const last = groups.at(-1);
    const one = { event, ...(enclosed && { enclosed }) };
    if (last && last.length < WIRE_LIMITS.events && size_bytes <= WIRE_LIMITS.from_peer_bytes) last.push(one);
    else {
      groups.push([one]);
      size_bytes = OVERHEAD_BYTES + more_bytes;
    }
  }
  return groups.map((events) => (events.length === 1 ? { type: 'event', ...events[0] } : { type: 'events', events }));
}
