// Judges a serving claim: what needs no model for all answers, and the draws of those that this judge repeats.
import type { DecodePool } from '../../model/decode-pool.ts';
import { marginOf } from '../../model/margin.ts';
import { addDraw, type MarginLimits, type MarginTally, marginFault, NO_DRAWS } from '../../model/margin-tally.ts';
import { GameError } from '../errors.ts';
import type { Claim, Device, Judging, Verdict } from '../game.ts';
import { decodeAnswers, isWhole } from './answers.ts';
import { servedOn, withText } from './device.ts';
import { amountOf, requestsOf, type ServeParams, type ServeRequest, type ServeTask } from './params.ts';

/**
 * Beyond so many times its limits a margin is no accident of another engine: it is made up. Between once and so often work is refused, and nobody
 * accused.
 */
const EVIDENT_TIMES = 1.5;

/** The margins of an answer's draws, added to those before: one prefill gives the logits of all of them. */
export function tallyAnswer(
  pool: DecodePool,
  params: ServeParams,
  { prompt, first_position, rule }: ServeRequest,
  ids: readonly number[],
  before: MarginTally,
): Promise<MarginTally> {
  return withText(pool, params, async (text) => {
    const { vocab_size } = params.model;
    const rows = await text.append([...prompt, ...ids.slice(0, -1)], 'all');
    return ids.reduce((tally, id, i) => {
      const at = (prompt.length - 1 + i) * vocab_size;
      const margin = marginOf(rows.subarray(at, at + vocab_size), rule, { position: first_position + i }, id);
      return addDraw(tally, margin, id, params.end_ids);
    }, before);
  });
}

/** Which answers a judge repeats: the first ones as far as it was told to, and where it looks one that nobody could foresee. */
export function answersToRepeat(count: number, { repeat_permille, looks, place }: Judging): number[] {
  const repeated = Array.from({ length: Math.ceil((count * repeat_permille) / 1000) }, (_, i) => i);
  const looked = Math.min(count - 1, Math.floor(place * count));
  return looks && !repeated.includes(looked) ? [...repeated, looked] : repeated;
}

export async function judgeClaim(task: ServeTask, claim: Claim, device: Device, judging: Judging): Promise<Verdict> {
  const { params } = task;
  const refuse = (code: string, fraud: boolean, tally: MarginTally): Verdict => ({
    ...{ accepted: false, fraud, code, weight: 0, score_micro: 0 },
    ...findings(tally, params.limits),
  });
  let answers: number[][];
  try {
    answers = decodeAnswers(params, claim.work);
  } catch (error) {
    if (error instanceof GameError) return refuse('bad-form', true, NO_DRAWS);
    throw error;
  }
  if (claim.amount !== amountOf(params, answers)) return refuse('not-what-it-says', true, NO_DRAWS);
  if (!answers.every((ids) => isWhole(params, ids))) return refuse('wrong-end', true, NO_DRAWS);
  const requests = requestsOf(task);
  const pool = await servedOn(device, params);
  let tally = NO_DRAWS;
  for (const index of answersToRepeat(answers.length, judging)) {
    tally = await tallyAnswer(pool, params, requests[index], answers[index], tally);
  }
  const fault = marginFault(tally, params.limits);
  if (fault) return refuse(fault, marginFault(tally, timesAll(params.limits, EVIDENT_TIMES)) !== null, tally);
  const score_micro = claim.amount * 1e6;
  const accepted = { accepted: true, fraud: false, code: 'ok', weight: claim.amount, score_micro };
  return { ...accepted, ...findings(tally, params.limits) };
}

function findings(tally: MarginTally, limits: MarginLimits): Pick<Verdict, 'numbers' | 'evidence'> {
  const mean = tally.draws > 0 ? tally.margin / tally.draws : 0;
  return {
    numbers: { draws: tally.draws, differing: tally.differing, margin_micro: Math.round(mean * 1e6) },
    evidence: { tally, limits },
  };
}

const timesAll = (limits: MarginLimits, times: number): MarginLimits => ({
  per_draw: times * limits.per_draw,
  allowance: times * limits.allowance,
  end_margin: times * limits.end_margin,
});
