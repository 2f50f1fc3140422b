// What a batch of receipts comes to: its bytes as one blob, its Merkle root (RFC 6962), and its sums. The hub makes it, anybody can again.
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import { CompactTree, inclusionProof, leafHash, nodesOfLeaves, verifyInclusion } from '../../ledger/merkle.ts';
import { ANSWER_RECEIPT_LIMITS, type AnswerReceipt, openReceipt, servedPart } from '../../protocol/answer-receipt.ts';
import { ProtocolError } from '../../protocol/errors.ts';
import { sha256Hex } from '../../protocol/hash.ts';
import { decodeStrict } from '../../protocol/strict-cbor.ts';
import { encodeStrict } from '../../protocol/strict-cbor-encode.ts';
import type { AnswersSettled } from '../events/answers-settled.ts';
import { CORE_LIMITS } from '../limits.ts';

/** A list of so many receipts, each with a head of three bytes. */
export const BATCH_BLOB_BYTES = CORE_LIMITS.batch_receipts * (ANSWER_RECEIPT_LIMITS.bytes + 3) + 3;

type Rows = AnswersSettled['charges'];

/** Sums by id; ids in order. */
class Sums {
  readonly #micro = new Map<string, number>();

  add(id: string, micro: number): void {
    if (micro > 0) this.#micro.set(id, (this.#micro.get(id) ?? 0) + micro);
  }

  /** How many rows there would be with this id. */
  sizeWith(id: string, micro: number): number {
    return this.#micro.size + Number(micro > 0 && !this.#micro.has(id));
  }

  rows(): Rows {
    return [...this.#micro].sort(([a], [b]) => (a < b ? -1 : 1));
  }
}

/** Collects receipts to a batch, for as long as its event has room for their callers, devices and runs. */
export class Batch {
  readonly #receipts: AnswerReceipt[] = [];
  readonly #charges = new Sums();
  readonly #earnings = new Sums();
  readonly #holders = new Sums();
  #gateway_micro = 0;

  get size(): number {
    return this.#receipts.length;
  }

  /** Adds a receipt to the end; false where there is no room for it. */
  add(receipt: AnswerReceipt): boolean {
    const { caller, charge_micro, device, earns_micro, holders_micro, gateway_micro } = receipt;
    // A model without a run has no holders.
    const run = receipt.run ?? '';
    if (
      this.#receipts.length >= CORE_LIMITS.batch_receipts ||
      this.#charges.sizeWith(caller, charge_micro) > CORE_LIMITS.batch_callers ||
      this.#earnings.sizeWith(device, earns_micro) > CORE_LIMITS.batch_devices ||
      this.#holders.sizeWith(run, holders_micro) > CORE_LIMITS.batch_runs
    ) {
      return false;
    }
    this.#receipts.push(receipt);
    this.#charges.add(caller, charge_micro);
    this.#earnings.add(device, earns_micro);
    this.#holders.add(run, holders_micro);
    this.#gateway_micro += gateway_micro;
    return true;
  }

  /** The batch's bytes, and what the event says of it. At least one receipt. */
  settle(number: number): { readonly body: AnswersSettled; readonly blob: Uint8Array } {
    const blob = encodeStrict(this.#receipts.map(({ bytes }) => bytes));
    const tree = new CompactTree();
    for (const { bytes } of this.#receipts) tree.append(leafHash(bytes));
    const times = this.#receipts.map(({ time_ms }) => time_ms);
    const body: AnswersSettled = {
      ...{ type: 'answers.settled', version: 1, number, root: bytesToHex(tree.root()), receipts: this.size },
      ...{ blob: sha256Hex(blob), charges: this.#charges.rows(), earnings: this.#earnings.rows() },
      ...{ holders: this.#holders.rows(), gateway_micro: this.#gateway_micro },
      ...{
        from_ms: times.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY),
        until_ms: times.reduce((a, b) => Math.max(a, b), 0),
      },
    };
    return { body, blob };
  }
}

/**
 * The bytes of the receipts in a batch's blob. They are not opened.
 * Throws ProtocolError `malformed`, `too-large`, `not-canonical`, `forbidden-value`.
 */
export function receiptsIn(blob: Uint8Array): Uint8Array[] {
  if (blob.length > BATCH_BLOB_BYTES) {
    throw new ProtocolError('too-large', `a batch has at most ${BATCH_BLOB_BYTES} bytes, got ${blob.length}`);
  }
  const list = decodeStrict(blob);
  if (!Array.isArray(list) || !list.every((item) => item instanceof Uint8Array)) {
    throw new ProtocolError('malformed', 'expected a list of receipts');
  }
  return list;
}

/** What a batch says that its receipts do not, in words; null where all of it follows from them, and no part of an answer is in it twice. */
export function problemOfBatch(body: AnswersSettled, receipts: readonly AnswerReceipt[]): string | null {
  const batch = new Batch();
  const seen = new Set<string>();
  for (const [i, receipt] of receipts.entries()) {
    const part = servedPart(receipt);
    if (seen.has(part))
      return `receipt ${i} is of a part of an answer that another receipt of the batch is of: ${part}`;
    seen.add(part);
    if (!batch.add(receipt)) return `there is no room for receipt ${i}`;
  }
  if (receipts.length === 0) return 'there is no receipt';
  const { body: expected } = batch.settle(body.number);
  for (const field of Object.keys(expected) as (keyof AnswersSettled)[]) {
    const [said, is] = [JSON.stringify(body[field]), JSON.stringify(expected[field])];
    if (said !== is) return `${field}: its receipts give ${is.slice(0, 200)}, it says ${said.slice(0, 200)}`;
  }
  return null;
}

/** The inclusion proof of a batch's receipt `index`. */
export function receiptProof(receipts: readonly Uint8Array[], index: number): Uint8Array[] {
  return inclusionProof(index, receipts.length, nodesOfLeaves(receipts.map(leafHash)));
}

/** Opens a receipt if a proof shows that it is the batch's receipt `index`; null where it does not. Throws ProtocolError as `openReceipt`. */
export function openProven(
  { root, receipts }: Pick<AnswersSettled, 'root' | 'receipts'>,
  bytes: Uint8Array,
  index: number,
  proof: readonly Uint8Array[],
): AnswerReceipt | null {
  const proven = verifyInclusion(leafHash(bytes), index, receipts, proof, hexToBytes(root));
  return proven ? openReceipt(bytes) : null;
}
