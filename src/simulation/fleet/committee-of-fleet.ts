// The sample that stands for a fleet before the core (committee.ts): who sits in it, and what its verdicts say of the whole.
import { type Judged, playCommittee, type Seat } from './committee.ts';
import { type Fleet, HOURS_A_DAY, memoryGb } from './fleet.ts';
import { crowdsAt } from './presence.ts';
import { type Burden, divide, type Round, roundOf, type Strand } from './round.ts';

const DAYS_A_WEEK = 7;
const SHARES = 1_000_000;
/** Successive fractions of i times this are spread evenly (Weyl): liars fall on all classes alike. */
const GOLDEN = (Math.sqrt(5) - 1) / 2;

/** What the core makes of a fleet. */
export interface Opinion extends Burden {
  /** Works that come to an appeal, for each that is handed in. */
  readonly appeals: number;
  /** How a round's shares are divided; together 1. */
  readonly parts: Judged['parts'];
  /** By class, what an honest token is paid beside the average, and which part of what it has time for a device may do. */
  readonly factors: readonly number[];
  readonly allowed: readonly number[];
  /** What a token that is claimed by a liar is paid beside an honest one; null: nobody lies. */
  readonly liars_pay: number | null;
  /** Which part of liars' works are lies, and which part of the lies is refused; null: there are none. */
  readonly lying_part: number;
  readonly caught_share: number | null;
  readonly honest_refused_share: number;
}

/** Asks the core. Throws SimulationError `violated`. */
export function askCommittee(fleet: Fleet, strands: readonly Strand[]): Opinion {
  const { classes, rules, lies, committee, model } = fleet;
  const ones = classes.map(() => 1);
  const unjudged: Opinion = {
    ...{ repeats: 0, looks: 0, appeals: 0, parts: { workers: 0, validators: 0, owner: 0, unearned: 1 } },
    ...{ factors: ones, allowed: ones, liars_pay: null, lying_part: 1, caught_share: null, honest_refused_share: 0 },
  };
  if (rules.judges === 0) return unjudged;
  const round = usualRound(fleet, strands);
  const seats = seatsOf(fleet, strands, round);
  if (seats.length === 0) return unjudged;
  const judged = playCommittee(seats, {
    ...{
      rules,
      does: lies.does,
      from_record: lies.from_record,
      inner_steps: model.inner_steps,
      batch_tokens: Math.max(1, Math.round(model.batch_tokens)),
    },
    ...{ judges: committee.judges, rounds: committee.rounds, skip: committee.skip },
    ...{ turnover: turnoverOf(fleet, round), seed: fleet.seed, shares_per_round: SHARES },
  });
  return opinionOf(judged, classes.length);
}

/** The round that an average hour of the first week has. */
function usualRound(fleet: Fleet, strands: readonly Strand[]): Round {
  const hours = Math.min(DAYS_A_WEEK, fleet.days) * HOURS_A_DAY;
  const workers = fleet.classes.map(() => 0);
  const judges = fleet.classes.map(() => 0);
  for (let hour = 0; hour < hours; hour++) {
    for (const [i, crowd] of crowdsAt(fleet, hour).entries()) {
      const parts = divide(fleet.classes[i], crowd, fleet.classes[i].memory_gb >= memoryGb(fleet.model));
      workers[i] += parts.workers / hours / fleet.runs;
      judges[i] += parts.judges / hours / fleet.runs;
    }
  }
  const all = workers.reduce((sum, count) => sum + count, 0);
  const none = workers.map(() => 0);
  return roundOf(
    fleet,
    strands,
    { workers, judges, sudden: none, came: none, merged_before: all },
    { repeats: 0, looks: 0 },
  );
}

/** Seats in proportion to the devices of each strand that hand in: every seat stands for as many. */
function seatsOf({ committee, lies }: Fleet, strands: readonly Strand[], { turns }: Round): Seat[] {
  const all = turns.reduce((sum, { handed_in, steps }) => sum + (steps > 0 ? handed_in : 0), 0);
  if (all === 0) return [];
  let [at, sum] = [0, 0];
  const seats: Seat[] = [];
  for (const [i, { handed_in, steps, stays }] of turns.entries()) {
    sum += steps > 0 ? handed_in : 0;
    while (at < committee.workers && (at + 0.5) / committee.workers <= sum / all) {
      const lying = (at * GOLDEN) % 1 < lies.share || (lies.share > 0 && at === 0);
      seats.push({ of: strands[i].of, steps, leaves: 1 - stays, lies: lying });
      at++;
    }
  }
  return seats;
}

/** The chance from round to round that a device is replaced for good. */
function turnoverOf({ classes }: Fleet, { round_s }: Round): number {
  const a_day = classes.reduce((sum, { share, lifetime_days }) => sum + share / lifetime_days, 0);
  return Math.min(1, (a_day * round_s) / (HOURS_A_DAY * 3600));
}

function opinionOf({ earned, parts, ...judged }: Judged, classes: number): Opinion {
  const honest = earned.filter(({ lies, claimed }) => !lies && claimed > 0);
  const liars = earned.filter(({ lies, claimed }) => lies && claimed > 0);
  const sum = (
    of: typeof earned,
    field: 'shares' | 'claimed' | 'could' | 'submitted' | 'refused' | 'lied' | 'caught',
  ): number => of.reduce((all, one) => all + one[field], 0);
  const ratio = (a: number, b: number, otherwise: number): number => (b > 0 ? a / b : otherwise);
  const price = ratio(sum(honest, 'shares'), sum(honest, 'claimed'), 0);
  const allowed = ratio(sum(honest, 'claimed'), sum(honest, 'could'), 1);
  const works = Math.max(1, judged.submissions);
  const of = (i: number): typeof earned => honest.filter((one) => one.of === i);
  const index = Array.from({ length: classes }, (_, i) => i);
  return {
    ...{ repeats: judged.repeats / works, looks: judged.looks / works, appeals: judged.appeals / works, parts },
    factors: index.map((i) => ratio(ratio(sum(of(i), 'shares'), sum(of(i), 'claimed'), price), price, 1)),
    allowed: index.map((i) => ratio(sum(of(i), 'claimed'), sum(of(i), 'could'), allowed)),
    // They may lose more than they earn, of what they earned before counting began; in the long run nobody has less than nothing.
    liars_pay:
      liars.length > 0 ? Math.max(0, ratio(ratio(sum(liars, 'shares'), sum(liars, 'claimed'), 0), price, 0)) : null,
    lying_part: ratio(sum(liars, 'lied'), sum(liars, 'submitted'), 1),
    caught_share: sum(liars, 'lied') > 0 ? sum(liars, 'caught') / sum(liars, 'lied') : null,
    honest_refused_share: ratio(sum(honest, 'refused'), sum(honest, 'submitted'), 0),
  };
}
