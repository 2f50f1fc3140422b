// Batches of the log, noted in a gateway's file of receipts: its own, and those of the other gateways of its hub.
import { decodeEvent } from '../../core/codec.ts';
import type { AnswersSettled } from '../../core/events/answers-settled.ts';
import { receiptsIn } from '../../core/serving/batch.ts';
import type { NetworkState } from '../../core/state.ts';
import type { BlobStore } from '../../ledger/blob-store.ts';
import { type AnswerReceipt, openReceipt, servedPart } from '../../protocol/answer-receipt.ts';
import { HubError } from '../errors.ts';
import type { EventLog } from '../log-writer.ts';
import type { ReceiptFile } from './receipt-file.ts';

/** The log has verified them. */
const OWN = { verify_signature: false } as const;

interface Around {
  readonly sequencer: { readonly state: NetworkState };
  readonly log: Pick<EventLog, 'size' | 'read'>;
  readonly blobs: Pick<BlobStore, 'get'>;
  /** Whether there are other gateways: missing: this is a hub's only process. */
  readonly others?: object;
}

/** A batch as the log has it. */
export interface SettledEntry {
  readonly entry: number;
  readonly body: AnswersSettled;
}

/** Notes the batches that are in the log and not in the file: after a kill the last, in a file from a copy perhaps many. */
export async function catchUp(file: ReceiptFile, { sequencer, log, blobs, others }: Around): Promise<void> {
  const { next_batch } = file;
  const { batches } = sequencer.state.paid;
  // One process of several begins with its copy of the log, which may lag behind what it has noted.
  if (next_batch > batches && !others) {
    throw new HubError(
      'bad-folder',
      `the receipts know ${next_batch} batches, the log has ${batches}: another folder's?`,
    );
  }
  const missing: SettledEntry[] = [];
  for (let entry = log.size - 1; entry >= 0 && missing.length < batches - next_batch; entry--) {
    const { body } = decodeEvent(log.read(entry, entry + 1)[0], { verify_signature: false });
    if (body.type === 'answers.settled') missing.push({ entry, body });
  }
  for (const one of missing.reverse()) noteBatch(file, one, await receiptsOf(one, blobs));
}

/** The receipts of a batch. Throws HubError `bad-folder` where they are not kept. */
export async function receiptsOf(
  { body: { number, blob: hash } }: SettledEntry,
  blobs: Around['blobs'],
): Promise<AnswerReceipt[]> {
  const blob = await blobs.get(hash);
  if (!blob) throw new HubError('bad-folder', `the receipts of batch ${number}, blob ${hash}, are not kept`);
  return receiptsIn(blob).map((bytes) => openReceipt(bytes, OWN));
}

export function noteBatch(
  file: ReceiptFile,
  { entry, body: { number, blob } }: SettledEntry,
  all: readonly AnswerReceipt[],
): void {
  file.settle({ number, entry, blob, parts: all.map(servedPart) });
}

/** Whether the log has another batch of this number. */
export const isOfOthers = (error: unknown): boolean =>
  error instanceof HubError && error.code === 'refused' && error.details.refusal === 'wrong-batch';
