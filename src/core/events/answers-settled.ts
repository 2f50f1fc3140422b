// Answers are paid for: what their callers are charged goes to devices, to holders of models, and to the gateway.
import { z } from 'zod';
import { count, hash } from '../../protocol/schemas.ts';
import { CORE_LIMITS } from '../limits.ts';
import { creditsText } from '../serving/credit.ts';
import { applyBatch, refusalOfBatch } from '../serving/settling.ts';
import { amount_micro, time_ms, v1 } from './fields.ts';
import { networkEvent } from './kind.ts';

/** Who, and how much: each once, in order of id, so that a batch has one form and nobody is charged twice in it. */
const amounts = (most: number) =>
  z
    .array(z.tuple([hash, amount_micro]))
    .max(most)
    .refine((rows) => rows.every(([id], i) => i === 0 || rows[i - 1][0] < id), 'expected each id once, in order of id');

/**
 * By the hub: a batch of signed receipts (protocol/answer-receipt.ts), as one Merkle root (RFC 6962) and its sums. Anybody who has one of
 * the receipts can prove it; whoever has the blob can recompute all of this (serving/batch.ts). `number` counts the batches from 0.
 */
export const AnswersSettledSchema = z.strictObject({
  type: z.literal('answers.settled'),
  ...v1,
  number: count,
  root: hash,
  /** How many receipts are in the tree. */
  receipts: z.int().min(1).max(CORE_LIMITS.batch_receipts),
  /** The receipts, in the tree's order. */
  blob: hash,
  /** By account, by device, and by the run that made the model. */
  charges: amounts(CORE_LIMITS.batch_callers),
  earnings: amounts(CORE_LIMITS.batch_devices),
  holders: amounts(CORE_LIMITS.batch_runs),
  gateway_micro: count.max(CORE_LIMITS.credit_micro),
  /** The minutes of the first and the last answer. */
  from_ms: time_ms,
  until_ms: time_ms,
});
export type AnswersSettled = z.infer<typeof AnswersSettledSchema>;

export const answersSettled = networkEvent(AnswersSettledSchema, {
  by_hub: 'answers are settled',
  about: 'money',
  blobs: ({ blob }) => [blob],
  words: ({ receipts, charges, earnings }, _who, say) => {
    const charged_micro = charges.reduce((sum, [, micro]) => sum + micro, 0);
    const who = `${say.count(charges.length, 'account')} for ${say.count(receipts, 'answer')} by ${say.count(earnings.length, 'device')}`;
    return `the hub charged ${creditsText(charged_micro)} to ${who}`;
  },
  refusalOf: (state, { body }) => refusalOfBatch(state, body),
  apply: (state, { body }) => applyBatch(state, body),
});
