// Pays for answers: holds the caller's credit while one is written, takes devices' claims of what they have sent, and has a receipt signed for each
// part that the caller got and no judge has refused. What nobody was charged for, nobody is paid for.
import { creditsText } from '../../core/serving/credit.ts';
import { ANSWER_RECEIPT_LIMITS, openClaim } from '../../protocol/answer-receipt.ts';
import type { Clock, Timer } from '../../protocol/clock.ts';
import { ProtocolError } from '../../protocol/errors.ts';
import type { Offer } from '../../protocol/serving-from-peer.ts';
import type { PayWords, UnpaidCode } from '../../protocol/serving-messages.ts';
import type { AnswerRequest } from '../../serving/answers.ts';
import { ServingError } from '../../serving/errors.ts';
import { chargeOf, chargeOver, type Split, splitOf, type TokenPrice } from '../../serving/price.ts';
import type { AnswerStream } from './answer-stream.ts';
import type { Ticket } from './caller.ts';
import { type ClaimTerms, type PartSeen, partEarns, wrongOfClaim } from './claim-check.ts';
import type { PoolConnection, PoolDevice } from './devices.ts';
import type { Receipts, Reservation } from './receipts.ts';
import { mostTokensOf } from './request.ts';

export const PAYMENT_LIMITS = {
  last_claim_ms: 10_000, // that a device which is there has to sign what the hub took of it
  claims_ahead: 4, // claims that may come at once …
  claims_per_s: 1, // … and those that follow: each is hashed over all tokens of its part
  // Micro-credits that rounding adds to a part at most: the device's, the holders' and the gateway's.
  rounding_micro: 3,
} as const;

export interface PaymentsOptions {
  readonly clock: Clock;
  readonly receipts: Pick<Receipts, 'available' | 'reserve' | 'add'>;
  /** The hub's key. */
  readonly gateway: string;
  /** What holders of the model and the gateway get of a charge. */
  readonly split: Split;
  /** Whether anybody pays here: a hub that asks for no keys knows of no account. */
  readonly charges: boolean;
  /** Whether the log lets a device earn. */
  mayEarn(peer: string): boolean;
  /** Hears of parts that could not be paid. */
  onProblem(error: unknown): void;
}

/** Where an operator says nothing else: a tenth for those who made the model, nothing for the hub. In thousandths. */
export const PAY_SPLIT: Split = { holders_permille: 100, gateway_permille: 0 };

/** What a device asks. */
export type Prices = Pick<Offer, 'price_in' | 'price_out'>;

/** What an answer is about, as far as it is paid. */
export interface Billed {
  readonly ticket: Ticket | null;
  readonly request: AnswerRequest;
  readonly stream: Pick<AnswerStream, 'written' | 'prompt_tokens'>;
  readonly context_tokens: number;
  readonly run: string | null;
}

/** One answer's credit. */
export interface Bill {
  /** Whether a device may write this answer at what it asks. */
  affords(peer: string, offer: Prices): boolean;
  /** Whether another part can be numbered. */
  readonly hasParts: boolean;
  /** The prompt's tokens are known: only what they and the longest answer cost is held. A ServingError where the account has not so much. */
  begun(prompt_tokens: number): ServingError | null;
  /** A device is asked; what it needs to sign its claim, or undefined where it asks nothing. */
  lease(lease: PaidLease): PayWords | undefined;
  /** Nobody writes any more: only what its parts may cost is held. */
  close(): void;
}

interface PaidLease {
  readonly id: string;
  readonly device: PoolDevice;
  readonly offer: Pick<Offer, 'model' | 'quantisation'> & Prices;
  readonly from: number;
  readonly cursor: { readonly written: number };
}

interface Part {
  readonly lease: string;
  readonly connection: PoolConnection;
  readonly bill: OpenBill;
  readonly terms: ClaimTerms;
  readonly from: number;
  readonly cursor: { readonly written: number };
  readonly begun_ms: number;
  claims: number;
  newest: { readonly bytes: Uint8Array; readonly output_tokens: number; readonly earns_micro: number } | null;
  /** null: its device may still write. */
  over: { readonly took: number; readonly ended: boolean } | null;
  /** Its device has said all that it will. */
  claimed: boolean;
  /** No judge can refuse it any more. */
  decided: boolean;
  /** Its receipt is being written. */
  paid: boolean;
  timer: Timer;
}

/** Whether a device asks nothing. */
export const isFree = ({ price_in, price_out }: Prices): boolean => price_in === 0 && price_out === 0;

const FREE: TokenPrice = { input_micro: 0, output_micro: 0 };
const priceOf = ({ price_in, price_out }: Prices): TokenPrice => ({
  input_micro: price_in,
  output_micro: price_out,
});

export class Payments {
  readonly #options: PaymentsOptions;
  /** By lease, until each is paid or is not. */
  readonly #parts = new Map<string, Part>();
  readonly #paying = new Set<Promise<void>>();

  constructor(options: PaymentsOptions) {
    this.#options = options;
  }

  /** Parts that are written, or wait for a claim, a verdict or their receipt. */
  get open(): number {
    return this.#parts.size;
  }

  /**
   * Holds what an answer may cost at the highest price of the offers that the account can pay. Throws ServingError `no-credit` where it can
   * pay none.
   */
  bill(about: Billed, offers: Iterable<Prices>): Bill {
    const { ticket, request, context_tokens } = about;
    const most_input = Math.min(mostTokensOf(request.prompt), context_tokens);
    const cost = (price: TokenPrice): number => this.#mostOf(about, price, most_input, longest(about, 0));
    const caps = capsOf(offers, cost);
    for (const price of caps) {
      const most_micro = cost(price);
      if (most_micro === 0) return new OpenBill(about, price, null, this);
      const held = ticket && this.#options.receipts.reserve(ticket.account, most_micro);
      if (held) return new OpenBill(about, price, held, this);
    }
    const least_micro = cost(caps.at(-1) ?? FREE);
    if (!ticket) {
      const words = `devices ask to be paid for ${request.model}, and this hub charges nobody: it asks for no keys`;
      throw new ServingError('no-credit', words);
    }
    const left_micro = this.#options.receipts.available(ticket.account);
    throw new ServingError('no-credit', creditWords(ticket.account, least_micro, left_micro));
  }

  /** A device's claim; null: it is good; undefined: of no part here; else what is wrong with it. */
  hear(connection: PoolConnection, lease: string, bytes: Uint8Array): string | null | undefined {
    const part = this.#parts.get(lease);
    if (part?.connection !== connection || part.claimed) return undefined;
    const wrong = this.#wrong(part, bytes);
    if (wrong !== null) this.#drop(part);
    return wrong;
  }

  /**
   * A lease has ended. `ended`: its device has ended the answer; `broken`: what it wrote is worth nothing. Returns how many tokens of it were taken, for its device to sign; undefined where nothing is due.
   */
  over(lease: string, ended: boolean, broken: boolean): number | undefined {
    const part = this.#parts.get(lease);
    if (!part) return undefined;
    const took = part.cursor.written;
    part.over = { took, ended };
    if (broken || partEarns(part.terms, this.#seen(part), took) === 0) {
      this.#drop(part);
      return undefined;
    }
    part.timer = this.#options.clock.setTimeout(() => this.#claimed(part), PAYMENT_LIMITS.last_claim_ms);
    this.#isWhole(part);
    return took;
  }

  /** Whether judges, if any were drawn, have refused a part. Nothing is paid before. */
  decided(lease: string, refused: boolean): void {
    const part = this.#parts.get(lease);
    if (!part) return;
    part.decided = true;
    if (refused) this.#drop(part);
    else this.#settle(part);
  }

  /** A device is gone, after its leases have ended: it says nothing more. */
  gone(connection: PoolConnection): void {
    for (const part of [...this.#parts.values()]) if (part.connection === connection) this.#claimed(part);
  }

  /** Pays what was claimed until now; resolves when its receipts are kept. */
  async close(): Promise<void> {
    for (const part of [...this.#parts.values()]) {
      part.decided = true;
      this.#claimed(part);
    }
    await Promise.all(this.#paying);
  }

  /** Why nobody can pay a device what it asks; null: it asks nothing, or can be paid. */
  unpaid(peer: string, offer: Prices): UnpaidCode | null {
    if (isFree(offer)) return null;
    if (!this.#options.charges) return 'nobody-pays';
    return this.#options.mayEarn(peer) ? null : 'not-bound';
  }

  /** For a bill. */
  begin(bill: OpenBill, number: number, lease: PaidLease): PayWords | undefined {
    const { ticket } = bill.about;
    const { offer, device, from, cursor } = lease;
    if (!ticket || isFree(offer)) return undefined;
    const { gateway, clock } = this.#options;
    const { model, quantisation, price_in, price_out } = offer;
    const { request, salt } = ticket;
    const about = { gateway, request, part: number };
    const terms = { ...about, model, quantisation, device: device.peer, salt, price: priceOf(offer) };
    this.#parts.set(lease.id, {
      ...{ lease: lease.id, connection: device.connection, bill, terms, from, cursor, begun_ms: clock.elapsed_ms() },
      ...{ claims: 0, newest: null, over: null, claimed: false, decided: false, paid: false, timer: undefined },
    });
    return { ...about, salt, price_in, price_out };
  }

  /** The most that a bill's parts may still cost. */
  dueOf(bill: OpenBill): number {
    let due_micro = 0;
    for (const part of this.#parts.values()) {
      if (part.bill !== bill) continue;
      const seen = this.#seen(part);
      due_micro += sumOf(chargeOver(partEarns(part.terms, seen, seen.ids.length), this.#splitOf(bill.about)));
    }
    return due_micro;
  }

  /** For a bill: the charge for so many tokens at a price, however many parts they are in. */
  #mostOf(about: Billed, price: TokenPrice, input_tokens: number, output_tokens: number): number {
    const earns_micro = chargeOf(price, input_tokens, output_tokens);
    if (earns_micro === 0) return 0;
    const rounding_micro = PAYMENT_LIMITS.rounding_micro * ANSWER_RECEIPT_LIMITS.parts;
    return sumOf(chargeOver(earns_micro, this.#splitOf(about))) + rounding_micro;
  }

  #splitOf({ run }: Billed): Split {
    return splitOf(this.#options.split, run);
  }

  /** For a bill: what is held once the prompt was counted. */
  holdExact({ about, price, held }: OpenBill, prompt_tokens: number): ServingError | null {
    if (!held) return null;
    const exact_micro = this.#mostOf(about, price, prompt_tokens, longest(about, prompt_tokens));
    if (held.hold(exact_micro)) return null;
    const left_micro = this.#options.receipts.available(held.account) + held.held_micro;
    return new ServingError('no-credit', creditWords(held.account, exact_micro, left_micro));
  }

  #seen({ bill: { about }, from, cursor, over }: Part): PartSeen {
    const { written, prompt_tokens } = about.stream;
    const ids = written.slice(from, from + (over?.took ?? cursor.written));
    // Every token is paid once: whoever goes on in mid-answer reads the prompt for what it writes.
    return { input_tokens: from === 0 ? (prompt_tokens ?? 0) : 0, ids, ended: over?.ended ?? false };
  }

  #wrong(part: Part, bytes: Uint8Array): string | null {
    const { claims_ahead, claims_per_s } = PAYMENT_LIMITS;
    const since_s = (this.#options.clock.elapsed_ms() - part.begun_ms) / 1000;
    if (++part.claims > claims_ahead + claims_per_s * since_s) return 'claims faster than one a second';
    try {
      // Its signature is verified when it is paid: a device that signs wrongly takes from nobody but itself.
      const claim = openClaim(bytes, { verify_signature: false });
      // Tokens that were on their way when the lease ended are nobody's; its device hears how many were taken, and signs again.
      if (part.over && claim.output_tokens > part.over.took) return null;
      const least = part.newest?.output_tokens ?? 0;
      const wrong = wrongOfClaim(claim, part.terms, this.#seen(part), least);
      if (wrong !== null) return wrong;
      const { output_tokens, earns_micro } = claim;
      part.newest = { bytes, output_tokens, earns_micro };
    } catch (error) {
      if (error instanceof ProtocolError) return error.message;
      throw error;
    }
    this.#isWhole(part);
    return null;
  }

  /** Nothing more is to come where all that was taken is claimed. */
  #isWhole(part: Part): void {
    if (part.over && part.newest?.output_tokens === part.over.took) this.#claimed(part);
  }

  #claimed(part: Part): void {
    this.#options.clock.clearTimeout(part.timer);
    part.claimed = true;
    this.#settle(part);
  }

  /** Pays a part of which everything is known. */
  #settle(part: Part): void {
    const { over, claimed, decided, newest, bill, paid } = part;
    if (!over || !claimed || !decided || paid) return;
    if (!newest) {
      this.#drop(part);
      return;
    }
    part.paid = true;
    const { receipts, onProblem } = this.#options;
    const { run, ticket } = bill.about;
    const { earns_micro: _, ...shares } = chargeOver(newest.earns_micro, this.#splitOf(bill.about));
    const terms = { caller: ticket!.account, run, ...shares };
    const paying = receipts
      .add(newest.bytes, terms, bill.held ?? undefined)
      .then(() => {}, onProblem)
      .finally(() => {
        this.#paying.delete(paying);
        this.#drop(part);
      });
    this.#paying.add(paying);
  }

  #drop(part: Part): void {
    this.#options.clock.clearTimeout(part.timer);
    this.#parts.delete(part.lease);
    part.bill.look();
  }
}

class OpenBill implements Bill {
  readonly about: Billed;
  readonly price: TokenPrice;
  readonly held: Reservation | null;
  readonly #payments: Payments;
  #parts = 0;
  #closed = false;

  constructor(about: Billed, price: TokenPrice, held: Reservation | null, payments: Payments) {
    this.about = about;
    this.price = price;
    this.held = held;
    this.#payments = payments;
  }

  get hasParts(): boolean {
    return this.#parts < ANSWER_RECEIPT_LIMITS.parts;
  }

  affords(peer: string, { price_in, price_out }: Prices): boolean {
    const { input_micro, output_micro } = this.price;
    const isPaid = price_in <= input_micro && price_out <= output_micro;
    return isPaid && this.#payments.unpaid(peer, { price_in, price_out }) === null;
  }

  begun(prompt_tokens: number): ServingError | null {
    return this.#payments.holdExact(this, prompt_tokens);
  }

  lease(lease: PaidLease): PayWords | undefined {
    return this.#payments.begin(this, this.#parts++, lease);
  }

  close(): void {
    this.#closed = true;
    this.look();
  }

  /** Gives back what none of its parts can need any more. */
  look(): void {
    if (this.#closed) this.held?.hold(Math.min(this.held.held_micro, this.#payments.dueOf(this)));
  }
}

/** What devices may ask: at first the most that any asks, then without the dearest one after the other. */
function capsOf(offers: Iterable<Prices>, cost: (price: TokenPrice) => number): TokenPrice[] {
  const distinct = new Map<string, TokenPrice>();
  for (const offer of offers) distinct.set(`${offer.price_in} ${offer.price_out}`, priceOf(offer));
  const cheapest_first = [...distinct.values()].sort((a, b) => cost(a) - cost(b));
  const caps: TokenPrice[] = [];
  let cap = FREE;
  for (const { input_micro, output_micro } of cheapest_first) {
    cap = {
      input_micro: Math.max(cap.input_micro, input_micro),
      output_micro: Math.max(cap.output_micro, output_micro),
    };
    caps.push(cap);
  }
  return caps.reverse();
}

const creditWords = (account: string, needs_micro: number, left_micro: number): string =>
  `account ${account.slice(0, 8)} can spend ${creditsText(Math.max(0, left_micro))}, and this answer may cost ` +
  `${creditsText(needs_micro)}: the operator of this hub grants credit; a smaller limit of tokens costs less`;

const sumOf = (parts: ReturnType<typeof chargeOver>): number =>
  parts.earns_micro + parts.holders_micro + parts.gateway_micro;

/** The most tokens that an answer can come to have. */
const longest = ({ request, context_tokens }: Billed, prompt_tokens: number): number =>
  Math.max(0, Math.min(request.max_tokens, context_tokens - prompt_tokens));
