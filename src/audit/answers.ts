// What answers were paid by: fetches each batch's receipts, and finds whatever the event says that they do not.
import type { AnswersSettled } from '../core/events/answers-settled.ts';
import type { LoggedEvent } from '../core/events.ts';
import { problemOfBatch, receiptsIn } from '../core/serving/batch.ts';
import type { NetworkState, RunState } from '../core/state.ts';
import { type AnswerReceipt, openReceipt, servedPart } from '../protocol/answer-receipt.ts';
import { ProtocolError } from '../protocol/errors.ts';
import { sha256 } from '../protocol/hash.ts';
import { AuditFailure, type PublicBlobs } from './public-log.ts';
import { arrivedWith } from './run-beginning.ts';

export interface AnswersReport {
  /** Batches whose receipts were read, and how many there were. */
  readonly batches: number;
  readonly receipts: number;
  /** What their callers were charged, in micro-credits. */
  readonly charged_micro: number;
  /** Batches whose receipts are not kept any more. */
  readonly unchecked_batches: number;
}

/** The receipts behind a log's batches. */
export class AnswersCheck {
  readonly #hub: string;
  readonly #blobs: PublicBlobs;
  readonly #report = { batches: 0, receipts: 0, charged_micro: 0, unchecked_batches: 0 };
  /** By run, the models that it has had. */
  readonly #models = new Map<string, Set<string>>();
  /** Every part of an answer that was paid, as half of its hash: 128 bits, so that a million take 50 MB. */
  readonly #paid = new Set<string>();

  constructor(hub: string, blobs: PublicBlobs) {
    this.#hub = hub;
    this.#blobs = blobs;
  }

  get report(): AnswersReport {
    return this.#report;
  }

  /** To be called after each event; a promise while it reads. Rejects with AuditFailure `wrong-answers`, `corrupt-blob`; PublicLogError. */
  after(event: LoggedEvent, index: number, state: NetworkState): Promise<void> | undefined {
    const { id, author, body } = event;
    const come = arrivedWith(event, state);
    if (come) this.#came(come);
    else if (body.type === 'run.created') this.#models.set(id, new Set([body.model]));
    else if (body.type === 'round.merged') this.#models.get(body.run)?.add(body.model);
    else if (body.type === 'answers.settled') return this.#batch(body, author, index);
    return undefined;
  }

  /** A run that came from another log has, beside those that it had here before, the models that it brought. */
  #came({ id, checkpoint, recent }: RunState): void {
    const models = [checkpoint, ...recent].map(({ model }) => model);
    this.#models.set(id, new Set([...(this.#models.get(id) ?? []), ...models]));
  }

  unchecked(): string[] {
    const { unchecked_batches } = this.#report;
    if (unchecked_batches === 0) return [];
    const batches = unchecked_batches === 1 ? 'one batch' : `${unchecked_batches} batches`;
    return [`the receipts of ${batches} of answers: they are not kept any more`];
  }

  async #batch(body: AnswersSettled, author: string, index: number): Promise<void> {
    const blob = await this.#blobs.blob(body.blob);
    if (!blob) {
      this.#report.unchecked_batches++;
      return;
    }
    const wrong = (what: string) =>
      new AuditFailure('wrong-answers', `batch ${body.number}: ${what}`, {
        ...{ index, type: body.type, author, blob: body.blob },
      });
    const receipts = this.#open(blob, wrong);
    const problem = problemOfBatch(body, receipts);
    if (problem) throw wrong(problem);
    for (const [i, receipt] of receipts.entries()) {
      const strange = this.#strange(receipt);
      if (strange) throw wrong(`receipt ${i}: ${strange}`);
    }
    this.#report.batches++;
    this.#report.receipts += receipts.length;
    this.#report.charged_micro += receipts.reduce((sum, { charge_micro }) => sum + charge_micro, 0);
  }

  /** Opens all receipts, with both signatures of each. */
  #open(blob: Uint8Array, wrong: (what: string) => AuditFailure): AnswerReceipt[] {
    let at = -1;
    try {
      return receiptsIn(blob).map((bytes, i) => {
        at = i;
        return openReceipt(bytes);
      });
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      throw wrong(at < 0 ? error.message : `receipt ${at}: ${error.message}`);
    }
  }

  /** Why a receipt, well formed and signed, must not be in this log; null where it may. */
  #strange(receipt: AnswerReceipt): string | null {
    const { gateway, run, model } = receipt;
    if (gateway !== this.#hub) return `it is of the gateway ${gateway}, not of this hub`;
    if (run !== null && !this.#models.get(run)?.has(model)) return `run ${run} has never had the model ${model}`;
    const key = new TextDecoder('latin1').decode(sha256(new TextEncoder().encode(servedPart(receipt))).subarray(0, 16));
    if (this.#paid.has(key)) return `an earlier batch has paid for the same part of an answer: ${servedPart(receipt)}`;
    this.#paid.add(key);
    return null;
  }
}
