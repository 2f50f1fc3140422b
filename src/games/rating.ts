// How good a worker has been over time: skill rating, honesty about its own data, staying in step (after Templar's Gauntlet).
import { z } from 'zod';
import { GameError } from './errors.ts';
import { afterGame, ordinal, type Skill, UNKNOWN_SKILL } from './plackett-luce.ts';

const finite = z.number();
/** Plain data, as it is kept between rounds. */
export const RatingRecordSchema = z.object({
  /** The skill's mean and deviation. */
  mu: finite,
  sigma: finite,
  /** Moving mean of +1 where an update helped the worker's own data more than random data, −1 where less. */
  own_data: finite,
  /** Rounds in which it was judged. */
  judged: z.int().min(0),
  /** The last round's score for being in step with the shared model, 0 to 1. */
  in_step: finite,
  /** Rounds missed since it last handed in work. */
  missed: z.int().min(0),
});
/** What a validator remembers of a worker. No payout follows from it but by the whole number that a verdict says. */
export type RatingRecord = Readonly<z.infer<typeof RatingRecordSchema>>;

export const JudgedWorkSchema = z.object({
  id: z.string(),
  /** How much work it is: who did less than half as much is no measure for it. */
  amount: finite,
  /** What ranks it: (loss before − loss after) / loss before, on random data. */
  improvement: finite,
  /** Losses before minus after, on the data that it was assigned and on random data. */
  on_assigned: finite,
  on_random: finite,
  /** How many steps its model was away from the shared one: median |difference| over the average step. */
  steps_apart: finite,
});
/** One worker's work of a round, as a validator has measured it. */
export type JudgedWork = Readonly<z.infer<typeof JudgedWorkSchema>>;

/** Templar's constants. */
const MEAN_KEPT = 0.95;
const KEPT_A_MISSED_ROUND = 0.75;
const MOST_STEPS_APART = 5;

/** A rating begins at ordinal 0 and may fall below; whoever's work holds should not weigh nothing because others were faster. */
const LEAST_ORDINAL = 1;

/** After so many missed rounds a worker is a stranger again: its score has long faded, and records must not pile up. */
const FORGOTTEN_AFTER = 1000;

/** Devices of every speed belong: a worker is ranked among those who did at most twice, and at least half, as much work. */
const LIKE_WORK = 2;

export const NEWCOMER: RatingRecord = { ...UNKNOWN_SKILL, own_data: 0, judged: 0, in_step: 1, missed: 0 };

/**
 * The records after a round. `judged` are the workers whose verified work the validator has measured; those who did about
 * as much are ranked against each other by `improvement`, equal ones as equals. `absent` are those who handed
 * nothing in: their score fades, their record stays. Who is in neither list, because nobody looked at it, stays as it is. A worker without a record begins as a newcomer.
 * Throws GameError 'bad-measurement' for a figure that is not finite, or an id that comes twice.
 */
export function rateRound(
  records: ReadonlyMap<string, RatingRecord>,
  judged: readonly JudgedWork[],
  absent: readonly string[],
): Map<string, RatingRecord> {
  checkMeasurements(judged, absent);
  const result = new Map(records);
  for (const id of absent) {
    const record = records.get(id);
    if (!record) continue;
    if (record.missed >= FORGOTTEN_AFTER) result.delete(id);
    else result.set(id, { ...record, missed: record.missed + 1 });
  }
  const before = judged.map(({ id }) => records.get(id) ?? NEWCOMER);
  const skills = rankedSkills(before, judged);
  judged.forEach(({ id, on_assigned, on_random, steps_apart }, i) => {
    const { own_data, judged: rounds } = before[i];
    result.set(id, {
      ...skills[i],
      own_data: MEAN_KEPT * own_data + (1 - MEAN_KEPT) * Math.sign(on_assigned - on_random),
      judged: rounds + 1,
      in_step: inStepScore(steps_apart),
      missed: 0,
    });
  });
  return result;
}

/** New means and deviations, in groups of like work. Alone nobody is better than anybody. */
function rankedSkills(before: readonly RatingRecord[], judged: readonly JudgedWork[]): Skill[] {
  const result: Skill[] = before.map(({ mu, sigma }) => ({ mu, sigma }));
  for (const group of likeWork(judged)) {
    if (group.length < 2) continue;
    const after = afterGame(group.map((i) => ({ ...before[i], result: judged[i].improvement })));
    group.forEach((i, k) => {
      result[i] = after[k];
    });
  }
  return result;
}

/** The places of those who did about as much work, from the most work to the least. */
function likeWork(judged: readonly JudgedWork[]): number[][] {
  const places = judged.map((_, i) => i).sort((a, b) => judged[b].amount - judged[a].amount);
  const groups: number[][] = [];
  for (const i of places) {
    const group = groups.at(-1);
    if (group && judged[group[0]].amount <= LIKE_WORK * judged[i].amount) group.push(i);
    else groups.push([i]);
  }
  return groups;
}

/** max(0, 1 − min(s, 5) / 5)^2.5: 1 in step, 0 from five steps apart. */
export function inStepScore(steps_apart: number): number {
  const share = 1 - Math.min(Math.max(0, steps_apart), MOST_STEPS_APART) / MOST_STEPS_APART;
  return share * share * Math.sqrt(share);
}

/**
 * A worker's score, from 0: ordinal (μ − 3σ, at least 1) × max(0, own_data) × in_step × 0.75 for each missed round. `own_data` is
 * divided by what its mean could have reached by now (as Adam corrects its moments), so that a newcomer's first verified
 * work counts in full. 0 before any.
 */
export function scoreOf(record: RatingRecord): number {
  if (record.judged === 0) return 0;
  const reachable = 1 - power(MEAN_KEPT, record.judged);
  const own_data = Math.max(0, record.own_data) / reachable;
  const skill = Math.max(LEAST_ORDINAL, ordinal(record));
  return skill * own_data * record.in_step * power(KEPT_A_MISSED_ROUND, record.missed);
}

/** Everybody by score, the best first; of equals the smaller id. */
export function ranking(records: ReadonlyMap<string, RatingRecord>): { id: string; score: number }[] {
  return Array.from(records, ([id, record]) => ({ id, score: scoreOf(record) })).sort(
    (a, b) => b.score - a.score || (a.id < b.id ? -1 : 1),
  );
}

/** base^count for 0 < base < 1 and whole counts, 0 where it has become smaller than anything that matters. */
function power(base: number, count: number): number {
  let result = 1;
  for (let i = 0; i < count && result > 1e-12; i++) result *= base;
  return result;
}

function checkMeasurements(judged: readonly JudgedWork[], absent: readonly string[]): void {
  const seen = new Set<string>();
  for (const id of [...judged.map((work) => work.id), ...absent]) {
    if (seen.has(id)) throw new GameError('bad-measurement', `rating: expected every id once, got ${id} twice`, { id });
    seen.add(id);
  }
  for (const { id, amount, improvement, on_assigned, on_random, steps_apart } of judged) {
    for (const value of [amount, improvement, on_assigned, on_random, steps_apart]) {
      if (Number.isFinite(value)) continue;
      throw new GameError('bad-measurement', `rating: ${id}: expected finite measurements, got ${value}`, { id });
    }
  }
}
