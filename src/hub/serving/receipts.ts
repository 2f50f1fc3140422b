// Collects the receipts of served answers, and settles them in batches: nothing that was taken is lost by a kill, and nothing is settled twice.
//
// A batch is formed in memory, its blob is stored, its event is written, and only then is it noted in the file. A hub that is killed
// in between finds in its log which receipts were settled (the batch's blob names them), and forms the others anew.
//
// Of a hub with several gateways each notes the batches of all, and forms one only when it has noted all that there are: its number is then the next,
// or the log refuses it. So a batch whose answer was lost is found in the log before its receipts are in another.
import type { AnswersSettled } from '../../core/events/answers-settled.ts';
import { Batch, receiptProof, receiptsIn } from '../../core/serving/batch.ts';
import { creditLeft } from '../../core/serving/credit.ts';
import { isKnownDevice } from '../../core/serving/settling.ts';
import type { NetworkState } from '../../core/state.ts';
import type { BlobStore } from '../../ledger/blob-store.ts';
import {
  type AnswerReceipt,
  openClaim,
  openReceipt,
  RECEIPT_MINUTE_MS,
  servedPart,
  signReceipt,
} from '../../protocol/answer-receipt.ts';
import type { Clock, Timer } from '../../protocol/clock.ts';
import type { Identity } from '../../protocol/identity.ts';
import { HubError } from '../errors.ts';
import type { EventLog } from '../log-writer.ts';
import type { Sequencer } from '../sequencer.ts';
import { catchUp, isOfOthers, noteBatch, receiptsOf, type SettledEntry } from './noted-batches.ts';
import { openReceiptFile, type ReceiptFile } from './receipt-file.ts';

export const RECEIPT_LIMITS = {
  batch_receipts: 1024, // settled when so many wait …
  batch_ms: 600_000, // … or after ten minutes: a log of a busy hub grows by one event a batch
} as const;

/** For what this hub has signed, or verified, itself: a batch of a thousand signatures would hold up everything else. */
const OWN = { verify_signature: false } as const;

/** Who pays for a claim, and what others get of it. */
export type Terms = Pick<AnswerReceipt, 'caller' | 'run' | 'holders_micro' | 'gateway_micro'>;

/** Credit that is held back for an answer in the making. */
export interface Reservation {
  readonly account: string;
  /** What is still held, in micro-credits. */
  readonly held_micro: number;
  /** Holds another amount from now on; false, and nothing changes, where the account has not so much. */
  hold(micro: number): boolean;
  /** So much of it is spent now; what was not held is nobody's to spend. */
  spend(micro: number): void;
}

/** A receipt, and the proof that it is in a batch of the log. */
export interface ProvenReceipt {
  readonly bytes: Uint8Array;
  readonly index: number;
  readonly proof: readonly Uint8Array[];
  /** The index of the batch's event in the log. */
  readonly entry: number;
}

export interface Receipts {
  /** Receipts that are not settled. */
  readonly waiting: number;
  /** What an account can still spend, in micro-credits: its credit without what is held back or not settled yet, by other gateways too. */
  available(account: string): number;
  /** Holds credit back; null where there is not so much. */
  reserve(account: string, most_micro: number): Reservation | null;
  /**
   * Signs the receipt of a claim and keeps it: once this resolves, a kill loses nothing. `held`: the reservation that it is paid from, of
   * which the rest stays held: an answer may have several parts.
   * Throws ProtocolError for a false claim, HubError `unknown-device`, `unknown-run`, `no-credit`, `paid-already`,
   * `disk-full`.
   */
  add(claim: Uint8Array, terms: Terms, held?: Reservation): Promise<AnswerReceipt>;
  /** Settles one batch of what waits; null where nothing can be settled. Throws HubError. */
  settle(): Promise<AnswersSettled | null>;
  /** Where a part of an answer was settled; null where it was not, or its batch is not kept. */
  prove(part: { readonly request: string; readonly part: number }): Promise<ProvenReceipt | null>;
  /** The parts of an answer that there are receipts of, and whether each is settled. */
  partsOf(request: string): readonly { readonly part: number; readonly settled: boolean }[];
  /** Resolves when no batch is under way. */
  close(): Promise<void>;
}

/** What gateways of one hub tell each other of the credit that they hold. */
export interface OtherHolders {
  /** What others hold of an account, in micro-credits. */
  heldOf(account: string): number;
  /** This one holds so much of it from now on. */
  holds(account: string, micro: number): void;
  /** Calls back for each batch that is in the log from now on, of any gateway. */
  onSettled(listener: (batch: SettledEntry) => void): void;
}

export interface ReceiptsOptions {
  /** Of the file; ":memory:" for none. */
  readonly path: string;
  /** The hub's key: it is the gateway of its answers. */
  readonly identity: Identity;
  readonly sequencer: Pick<Sequencer, 'state' | 'write'>;
  readonly log: Pick<EventLog, 'size' | 'read'>;
  readonly blobs: Pick<BlobStore, 'put' | 'get'>;
  readonly clock: Clock;
  onProblem(error: unknown): void;
  /** The other gateways of this hub; missing: it is one process. */
  readonly others?: OtherHolders;
  readonly limits?: Partial<Record<keyof typeof RECEIPT_LIMITS, number>>;
}

/** Of a process that callers do not ask. */
export const NO_RECEIPTS: Receipts = {
  waiting: 0,
  available: () => 0,
  reserve: () => null,
  add: async () => {
    throw new HubError('no-key', "this process does not have the hub's key, and signs nothing in its name");
  },
  settle: async () => null,
  prove: async () => null,
  partsOf: () => [],
  close: async () => {},
};

/** Whether a device can be paid for answers from here on: it is known, and its owner has not taken its word back. */
export const mayEarn = (state: NetworkState, device: string): boolean =>
  !state.devices.get(device)?.revoked && isKnownDevice(state, device);

/** Opens the file and catches up with the log. Throws HubError `bad-folder` where a batch of the log is not kept. */
export async function openReceipts(options: ReceiptsOptions): Promise<Receipts> {
  const file = openReceiptFile(options.path);
  try {
    const heard: SettledEntry[] = [];
    const receipts = new OpenReceipts(file, options, heard);
    options.others?.onSettled((one) => {
      heard.push(one);
      receipts.noteSoon();
    });
    await catchUp(file, options);
    receipts.begin();
    return receipts;
  } catch (error) {
    file.close();
    throw error;
  }
}

class OpenReceipts implements Receipts {
  readonly #file: ReceiptFile;
  readonly #options: ReceiptsOptions;
  readonly #limits: Record<keyof typeof RECEIPT_LIMITS, number>;
  /** By account, what is not settled yet, and what is held back. */
  readonly #unsettled = new Map<string, number>();
  readonly #held = new Map<string, number>();
  /** Parts whose receipts are being signed. */
  readonly #signing = new Set<string>();
  #waiting = 0;
  /** The batch that is being written: from some moment on the log's state has its charges, before it is noted here. */
  #writing: Pick<AnswersSettled, 'number' | 'charges'> | null = null;
  #settling: Promise<unknown> = Promise.resolve();
  #timer: Timer;
  #closed = false;
  /** Batches of the log that were not looked at yet, and whether one was not formed because of them. */
  readonly #heard: SettledEntry[];
  #again = false;
  #begun = false;

  constructor(file: ReceiptFile, options: ReceiptsOptions, heard: SettledEntry[]) {
    this.#file = file;
    this.#options = options;
    this.#heard = heard;
    this.#limits = { ...RECEIPT_LIMITS, ...options.limits };
  }

  /** To be called when the file knows what the log had. */
  begin(): void {
    for (const bytes of this.#file.waiting()) this.#count(openReceipt(bytes, OWN), 1);
    this.#wait();
    this.#begun = true;
    this.noteSoon();
  }

  /** A batch is in the log, of this gateway or another. */
  noteSoon(): void {
    if (!this.#begun || this.#heard.length === 0) return;
    const noted = this.#settling.then(async () => {
      await this.#note();
      if (this.#again && this.#knowsAll && !this.#closed) this.#settleSoon();
    });
    this.#settling = noted.catch((error) => this.#options.onProblem(error));
  }

  get waiting(): number {
    return this.#waiting;
  }

  available(account: string): number {
    return this.#ownLeft(account) - (this.#options.others?.heldOf(account) ?? 0);
  }

  /** As far as this gateway alone spends it. */
  #ownLeft(account: string): number {
    const { state } = this.#options.sequencer;
    const spent_micro = (this.#unsettled.get(account) ?? 0) + (this.#held.get(account) ?? 0);
    const isTaken = this.#writing !== null && state.paid.batches > this.#writing.number;
    const taken_micro = (isTaken && this.#writing?.charges.find(([id]) => id === account)?.[1]) || 0;
    return creditLeft(state, account) - spent_micro + taken_micro;
  }

  reserve(account: string, most_micro: number): Reservation | null {
    if (most_micro > this.available(account)) return null;
    let held_micro = 0;
    const set = (micro: number): void => {
      plus(this.#held, account, micro - held_micro);
      held_micro = micro;
      this.#tell(account);
    };
    set(most_micro);
    return {
      account,
      get held_micro() {
        return held_micro;
      },
      hold: (micro) => {
        if (micro > held_micro && micro - held_micro > this.available(account)) return false;
        set(micro);
        return true;
      },
      spend: (micro) => set(Math.max(0, held_micro - micro)),
    };
  }

  async add(claim: Uint8Array, terms: Terms, held?: Reservation): Promise<AnswerReceipt> {
    const { identity, sequencer } = this.#options;
    const opened = openClaim(claim);
    const part = servedPart(opened);
    const { device } = opened;
    if (!mayEarn(sequencer.state, device)) {
      throw new HubError('unknown-device', `expected a device of this hub's log, got ${device}`);
    }
    if (terms.run !== null && !sequencer.state.runs.has(terms.run)) {
      throw new HubError('unknown-run', `expected a run of this hub's log, got ${terms.run}`);
    }
    this.#mustBeNew(part);
    this.#signing.add(part);
    try {
      const time_ms = sequencer.state.time_ms - (sequencer.state.time_ms % RECEIPT_MINUTE_MS);
      const receipt = openReceipt(await signReceipt(identity, { claim, ...terms, time_ms }, OWN), OWN);
      // From here on nothing else runs until the receipt is kept and counted.
      held?.spend(receipt.charge_micro);
      // What is held here is this gateway's to spend, also where another one has held the same at the same moment: the device has written it.
      const left_micro = held ? this.#ownLeft(terms.caller) : this.available(terms.caller);
      if (receipt.charge_micro > left_micro) {
        const message = `account ${terms.caller} can spend ${left_micro} micro-credits, the answer costs ${receipt.charge_micro}`;
        throw new HubError('no-credit', message);
      }
      this.#file.put(part, receipt.bytes);
      this.#count(receipt, 1);
      if (this.#waiting >= this.#limits.batch_receipts) this.#settleSoon();
      return receipt;
    } finally {
      this.#signing.delete(part);
    }
  }

  settle(): Promise<AnswersSettled | null> {
    const settled = this.#settling.then(() => this.#settleOne());
    this.#settling = settled.catch(() => {}); // the caller handles it
    return settled;
  }

  async prove(about: { readonly request: string; readonly part: number }): Promise<ProvenReceipt | null> {
    const found = this.#file.placeOf(servedPart(about));
    const blob = found && (await this.#options.blobs.get(found.blob));
    if (!blob) return null;
    const all = receiptsIn(blob);
    const { place: index, entry } = found;
    return { bytes: all[index], index, proof: receiptProof(all, index), entry };
  }

  partsOf(request: string): ReturnType<Receipts['partsOf']> {
    return this.#file.partsOf(request);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#options.clock.clearTimeout(this.#timer);
    await this.#settling;
    this.#file.close();
  }

  #mustBeNew(part: string): void {
    if (!this.#signing.has(part) && !this.#file.has(part)) return;
    throw new HubError('paid-already', `there is a receipt of part ${part} already`);
  }

  #count({ caller, charge_micro }: AnswerReceipt, times: 1 | -1): void {
    plus(this.#unsettled, caller, times * charge_micro);
    this.#waiting += times;
    this.#tell(caller);
  }

  #tell(account: string): void {
    const micro = (this.#unsettled.get(account) ?? 0) + (this.#held.get(account) ?? 0);
    this.#options.others?.holds(account, micro);
  }

  /** Notes what was heard of. What this gateway has noted itself is known. */
  async #note(): Promise<void> {
    if (this.#closed) return;
    for (let [one] = this.#heard; one; [one] = this.#heard) {
      if (one.body.number >= this.#file.next_batch) {
        const all = await receiptsOf(one, this.#options.blobs);
        const own = all.filter((receipt) => this.#file.waits(servedPart(receipt)));
        noteBatch(this.#file, one, all);
        for (const receipt of own) this.#count(receipt, -1);
      }
      this.#heard.shift();
    }
  }

  /** Whether this gateway knows of all batches before the next. */
  get #knowsAll(): boolean {
    return this.#file.next_batch === this.#options.sequencer.state.paid.batches;
  }

  async #settleOne(): Promise<AnswersSettled | null> {
    const { sequencer, blobs, others } = this.#options;
    await this.#note();
    this.#again = others !== undefined && !this.#knowsAll;
    if (this.#again) return null;
    const batch = new Batch();
    const taken: AnswerReceipt[] = [];
    const charged = new Map<string, number>();
    for (const bytes of this.#file.waiting()) {
      const receipt = openReceipt(bytes, OWN);
      // A log forgets devices that only came and went. What they are owed waits until they are known again.
      if (!isKnownDevice(sequencer.state, receipt.device)) continue;
      // Two gateways may have held the same credit at the same moment: what is too much waits until there is some again, and holds up no other.
      const micro = (charged.get(receipt.caller) ?? 0) + receipt.charge_micro;
      if (micro > creditLeft(sequencer.state, receipt.caller)) continue;
      if (!batch.add(receipt)) break;
      charged.set(receipt.caller, micro);
      taken.push(receipt);
    }
    if (taken.length === 0) return null;
    const { body, blob } = batch.settle(sequencer.state.paid.batches);
    await blobs.put(blob);
    this.#writing = body;
    try {
      const { index: entry } = await sequencer.write(body);
      this.#file.settle({ number: body.number, entry, blob: body.blob, parts: taken.map(servedPart) });
      for (const receipt of taken) this.#count(receipt, -1);
    } catch (error) {
      // Another gateway was first, or this batch is in the log already and the answer was lost: the log will say.
      if (!others || !isOfOthers(error)) throw error;
      this.#again = true;
      return null;
    } finally {
      this.#writing = null;
    }
    return body;
  }

  #settleSoon(): void {
    this.settle().catch((error) => this.#options.onProblem(error));
  }

  /** Settles what waits every so often. */
  #wait(): void {
    this.#timer = this.#options.clock.setTimeout(() => {
      if (this.#closed) return;
      this.#settleSoon();
      this.#wait();
    }, this.#limits.batch_ms);
  }
}

function plus(sums: Map<string, number>, account: string, micro: number): void {
  const sum = (sums.get(account) ?? 0) + micro;
  if (sum === 0) sums.delete(account);
  else sums.set(account, sum);
}
