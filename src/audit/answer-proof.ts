// A file with which anybody shows that an answer was settled: its receipt, its place in a batch, and the batch's event in a hub's log.
import { z } from 'zod';
import type { AnswersSettled } from '../core/events/answers-settled.ts';
import { openProven } from '../core/serving/batch.ts';
import { firstIssue } from '../errors.ts';
import { HASH_BYTES, MAX_PROOF_HASHES } from '../ledger/merkle.ts';
import { fromBase64, toBase64 } from '../ledger/signed-note.ts';
import type { AnswerReceipt } from '../protocol/answer-receipt.ts';
import { ProtocolError } from '../protocol/errors.ts';
import { count } from '../protocol/schemas.ts';
import { checkEntryProof, type EntryProof } from './entry-proof.ts';
import { OwnershipError } from './ownership-errors.ts';

const FORMAT = 'potluck-answer-proof-v1';
/** The longest event in base64, its proofs, and room. */
const MAX_PROOF_CHARACTERS = 256 * 1024;

const AnswerProofSchema = z.strictObject({
  format: z.literal(FORMAT),
  receipt: z.string(),
  /** The receipt's place in the batch, and the hashes from it up to the batch's root. */
  index: count,
  proof: z.array(z.string()).max(MAX_PROOF_HASHES),
  /** The batch's event in the log, as a .tlog-proof that contains it. */
  batch: z.string(),
});

export interface AnswerProof {
  readonly receipt: AnswerReceipt;
  readonly index: number;
  readonly batch: AnswersSettled;
  /** Where the batch stands in which log, and who has cosigned that. */
  readonly entry: EntryProof;
}

/** The file's text. `batch`: the .tlog-proof of the batch's event, as a hub serves it at /log/proof/INDEX. */
export function writeAnswerProof(
  {
    bytes,
    index,
    proof,
  }: { readonly bytes: Uint8Array; readonly index: number; readonly proof: readonly Uint8Array[] },
  batch: string,
): string {
  const file = { format: FORMAT, receipt: toBase64(bytes), index, proof: proof.map(toBase64), batch };
  return `${JSON.stringify(file, null, 2)}\n`;
}

/** Whether a file begins as such a proof does. */
export const isAnswerProof = (bytes: Uint8Array): boolean =>
  /^\s*\{\s*"format":\s*"potluck-answer-proof-v/.test(new TextDecoder().decode(bytes.subarray(0, 80)));

/**
 * Verifies a proof with nothing else at hand: the hub's signature under its log, the batch in the log, the receipt in the batch, and the
 * receipt's two signatures. Throws OwnershipError `malformed`, `bad-signature`, `bad-proof`, `wrong-claim`, `no-entry`.
 */
export function checkAnswerProof(text: string): AnswerProof {
  const file = readProof(text);
  const entry = checkEntryProof(file.batch);
  const { body, author } = entry.event;
  if (body.type !== 'answers.settled' || author !== entry.hub) {
    throw new OwnershipError('wrong-claim', `expected a batch of answers by the hub ${entry.hub}, got ${body.type}`);
  }
  const [bytes, ...proof] = [file.receipt, ...file.proof].map(fromBase64);
  if (!bytes || !proof.every((hash) => hash?.length === HASH_BYTES)) {
    throw new OwnershipError('malformed', 'expected a receipt and hashes in base64');
  }
  const receipt = openIn(body, bytes, file.index, proof as Uint8Array[]);
  if (receipt.gateway !== entry.hub) {
    throw new OwnershipError(
      'wrong-claim',
      `the receipt is of the gateway ${receipt.gateway}, the log of ${entry.hub}`,
    );
  }
  return { receipt, index: file.index, batch: body, entry };
}

function readProof(text: string): z.infer<typeof AnswerProofSchema> {
  if (text.length > MAX_PROOF_CHARACTERS) {
    throw new OwnershipError('too-large', `at most ${MAX_PROOF_CHARACTERS} characters are read, got ${text.length}`);
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new OwnershipError('malformed', 'the proof of an answer is not JSON');
  }
  const parsed = AnswerProofSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new OwnershipError('malformed', `the proof of an answer: ${firstIssue(parsed.error)}`);
}

function openIn(batch: AnswersSettled, bytes: Uint8Array, index: number, proof: readonly Uint8Array[]): AnswerReceipt {
  try {
    const receipt = openProven(batch, bytes, index, proof);
    if (receipt) return receipt;
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    const code = error.code === 'bad-signature' ? 'bad-signature' : 'malformed';
    throw new OwnershipError(code, `the receipt: ${error.message}`, error.details);
  }
  const message = `the proof does not show this receipt at place ${index} of the ${batch.receipts} in batch ${batch.number}`;
  throw new OwnershipError('bad-proof', message, { index });
}
