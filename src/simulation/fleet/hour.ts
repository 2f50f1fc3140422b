// One hour of a fleet: its tokens, and the seconds of its devices. Each token and each second is counted once.
import type { Opinion } from './committee-of-fleet.ts';
import type { Fleet } from './fleet.ts';
import type { Crowd } from './presence.ts';
import { TIMES, type Times } from './result.ts';
import type { divide, Round, Run, Strand } from './round.ts';

export const HOUR_S = 3600;

export interface Hour {
  /** Hours since the fleet began. */
  readonly hour: number;
  readonly crowds: readonly Crowd[];
  readonly shares: readonly ReturnType<typeof divide>[];
  /** null: there are too few workers for a round. */
  readonly round: Round | null;
  readonly run: Run;
  /** How many rounds each run plays in it. */
  readonly count: number;
}

/** What surrounds every hour. */
export interface Setting {
  readonly fleet: Fleet;
  readonly strands: readonly Strand[];
  readonly opinion: Opinion;
}

/** Tokens of an hour, of all runs. */
export interface HourTokens {
  /** Those that devices really learned from: the next four together. */
  readonly computed: number;
  readonly lost: number;
  readonly unjudged: number;
  readonly refused: number;
  readonly merged: number;
  /** Claimed and merged, but never computed. */
  readonly false: number;
  /** By class, what honest workers and what liars are judged for. */
  readonly by_class: readonly { readonly honest: number; readonly lying: number; readonly merged: number }[];
}

export function tokensOf({ round, count }: Hour, { fleet, strands, opinion }: Setting): HourTokens {
  const { lies, model, runs, classes } = fleet;
  const { allowed, caught_share, honest_refused_share, lying_part } = opinion;
  const caught = caught_share ?? 0;
  const sum = { lost: 0, unjudged: 0, refused: 0, merged: 0, false: 0 };
  const by_class = classes.map(() => ({ honest: 0, lying: 0, merged: 0 }));
  for (const [i, turn] of (round?.turns ?? []).entries()) {
    const { of } = strands[i];
    const judged = round!.judged;
    const a_work = turn.steps * model.batch_tokens * allowed[of] * count * runs;
    const honest = turn.handed_in * a_work * (1 - lies.share);
    const liars = turn.handed_in * a_work * lies.share;
    const lying = liars * lying_part;
    const true_work = honest + liars - lying;
    // Whoever leaves has done half of its work on average.
    const gone = turn.steps > 0 ? ((turn.workers - turn.handed_in) * a_work) / 2 : 0;
    const merged = judged * (true_work * (1 - honest_refused_share) + lying * lies.does * (1 - caught));
    sum.lost += gone * doneBy(fleet, lying_part);
    sum.unjudged += (true_work + lying * lies.does) * (1 - judged);
    sum.refused += judged * (true_work * honest_refused_share + lying * lies.does * caught);
    sum.merged += merged;
    sum.false += judged * lying * (1 - lies.does) * (1 - caught);
    by_class[of].honest += judged * honest * (1 - honest_refused_share);
    by_class[of].lying += judged * liars;
    by_class[of].merged += merged;
  }
  return { ...sum, computed: sum.lost + sum.unjudged + sum.refused + sum.merged, by_class };
}

/** The part of what workers claim that they compute: liars do less. */
const doneBy = ({ lies }: Pick<Fleet, 'lies'>, lying_part: number): number =>
  1 - lies.share * lying_part * (1 - lies.does);

/** Seconds of each class in an hour, by what its devices do; together an hour of everybody who is lent. */
export function timesOf({ crowds, shares, round, run, count }: Hour, { fleet, strands, opinion }: Setting): Times[] {
  const hours = fleet.classes.map(() => Object.fromEntries(TIMES.map((name) => [name, 0])) as Times);
  const rounds = count * fleet.runs;
  for (const [i, turn] of (round?.turns ?? []).entries()) {
    const { of } = strands[i];
    const times = hours[of];
    const busy_s = turn.compute_s * opinion.allowed[of] * doneBy(fleet, opinion.lying_part);
    const works = turn.steps > 0;
    const gone = works ? turn.workers - turn.handed_in : 0;
    const stay = turn.workers - gone;
    const up_s = works ? turn.up_s : 0;
    const down_s = Math.min(turn.down_s, round!.round_s);
    const rest_s = round!.round_s - down_s;
    times.downloading += turn.workers * down_s * rounds;
    times.training += stay * busy_s * rounds;
    times.uploading += stay * up_s * rounds;
    times.lost += (gone * busy_s * rounds) / 2;
    times.waiting += (stay * (rest_s - busy_s - up_s) + gone * (rest_s - busy_s / 2)) * rounds;
    times.catching_up += turn.catching_up * fleet.runs * HOUR_S;
  }
  for (const [i, times] of hours.entries()) {
    times.serving = crowds[i].serving * HOUR_S;
    times.judging = (round?.judging_busy_s[i] ?? 0) * rounds;
    times.idle = shares[i].idle * HOUR_S;
    times.waiting += run.judges[i] * fleet.runs * HOUR_S - times.judging;
    if (!round) times.waiting += run.workers[i] * fleet.runs * HOUR_S;
  }
  return hours;
}
