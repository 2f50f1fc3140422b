// Submits events: signed, with the head of the log that this peer saw, until the hub's receipt is stored.
import { type HeadKeeper, seenHeadOf, withSeenHead } from '../audit/seen-heads.ts';
import type { EventBody } from '../core/events.ts';
import type { Receipt } from '../ledger/receipt.ts';
import type { Receipts } from '../ledger/receipts.ts';
import type { Clock } from '../protocol/clock.ts';
import { signEvent } from '../protocol/envelope.ts';
import type { Identity } from '../protocol/identity.ts';
import { PeerError } from '../protocol/peer-errors.ts';
import { LEAVING_LIMITS, untilLeft } from './leaving.ts';

export interface Submitting {
  readonly identity: Identity;
  readonly clock: Clock;
  readonly heads?: HeadKeeper;
  readonly receipts: Receipts;
  /** Fires when the owner wants the device back. */
  readonly signal: AbortSignal;
  /** Sends a signed event; see HubConnection. */
  readonly send: (event: Uint8Array) => Promise<Receipt>;
  /** Renews this device's certificate; null where it has no owner. */
  readonly bindAnew: (() => Promise<void>) | null;
  readonly onNotKept: (error: Error) => void;
}

/** Resolves to the receipt, verified and stored. Throws PeerError. */
export async function submitEvent(body: EventBody, submitting: Submitting): Promise<Receipt> {
  const { identity, clock, heads, receipts, signal, bindAnew } = submitting;
  const said = withSeenHead(body, heads?.newest());
  const event = await signEvent(identity, said);
  const send = (): Promise<Receipt> => untilLeft(submitting.send(event), signal, LEAVING_LIMITS.answer_ms, clock);
  const receipt = await send().catch(async (error) => {
    // The certificate has expired while this device was at work: its owner renews it.
    const ended = error instanceof PeerError && error.is('refused') && error.details.refusal === 'device-expired';
    if (!ended || body.type === 'device.bound' || !bindAnew) throw error;
    await bindAnew();
    return send();
  });
  heads?.saw(receipt, seenHeadOf(said));
  await receipts.keep(event, receipt).catch(submitting.onNotKept);
  return receipt;
}
