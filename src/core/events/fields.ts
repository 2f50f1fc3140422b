// The fields that events of several kinds have in common, as schemas, and the names that a run's game gives to numbers.
import { z } from 'zod';
import { measureName, type Named } from '../../protocol/measures.ts';
import { count, hash, oneLine } from '../../protocol/schemas.ts';
import { CORE_LIMITS, LOGS_LIMITS } from '../limits.ts';
import { type Refusal, refuse } from '../refusal.ts';

export const name = oneLine(CORE_LIMITS.name_characters);
export const micro = z.int().min(-CORE_LIMITS.score_micro).max(CORE_LIMITS.score_micro);
/** A value of a metric: a double has it exactly, also five times of it. */
const measure = z.int().min(-CORE_LIMITS.measure).max(CORE_LIMITS.measure);
/** Integers by the names that the run's game gives them. */
export const measures = z.record(measureName, measure);
export type Measures = z.infer<typeof measures>;

/** Numbers that the run's game does not name are refused; one that nobody measured may be missing. */
export function refusalOfNumbers(numbers: Measures, named: readonly Named[]): Refusal | null {
  const names = named.map(({ name }) => name);
  const other = Object.keys(numbers).find((name) => !names.includes(name));
  if (other === undefined) return null;
  return refuse(
    'wrong-numbers',
    `expected the run's numbers, ${names.join(', ') || 'of which there are none'}; got ${other}`,
  );
}
export const time_ms = count;
export const duration_ms = z.int().min(CORE_LIMITS.round_ms.min).max(CORE_LIMITS.round_ms.max);

/** An amount of micro-credits that moves: a grant, a charge, a payment. */
export const amount_micro = z.int().min(1).max(CORE_LIMITS.credit_micro);
/** Of the hub's word that an account's money has come from elsewhere, or gone there; `number` counts such words from 0, so that none can be used again. */
export const moneyOfAccount = {
  account: hash,
  number: count,
  amount_micro,
  /** How it was paid, in the hub's words; nobody checks it. */
  reference: oneLine(CORE_LIMITS.reference_characters).optional(),
};

/** Where a hub answers, for people and programs that want to find it; what counts is its key. */
export const hubUrl = oneLine(LOGS_LIMITS.url_characters).regex(
  /^https?:\/\/[^\s"<>]+$/,
  'expected an address that begins with http:// or https://',
);

export const v1 = { version: z.literal(1) };
export const v2 = { version: z.literal(2) };
export const v3 = { version: z.literal(3) };

/**
 * A head of this log that the hub had signed for the author before, with the signature of the checkpoint (ledger/checkpoint.ts).
 * Whoever replays the log compares it with the log's own tree: a hub that shows two histories has to keep their authors apart for ever.
 */
export const SeenHeadSchema = z.strictObject({
  size: count,
  root: hash,
  signature: z.string().regex(/^[0-9a-f]{128}$/, 'expected 128 lower-case hexadecimal digits'),
});
export type SeenHead = z.infer<typeof SeenHeadSchema>;

/**
 * The owner's words name the attempt that they follow, and every pause begins another: nobody who reads the log
 * can use an old one again.
 */
export const attemptOfRun = { run: hash, round: count, attempt: count };
/** Version 1 drops the open round. Version 2 ends its work: what is in, or comes within the grace, is judged and merged before. */
export const dropsOrMerges = { version: z.literal([1, 2]) };

/** Of a verdict on work that the first judges did not all accept, by the jury that judges it again (appeal.ts). */
export const appeal = z.literal(true).optional();

/** Of a verdict on work that was decided in an earlier round, by the jury of a contest (contest.ts): its number. */
export const contest = count.optional();
