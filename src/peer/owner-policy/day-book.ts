// What a device keeps from minute to minute for its receipt of a day: time by what it did, energy by its price, work and what came of it.
// Plain data, so that it can be written whole and read again after a crash. Time is elapsed time: no clock that is set makes it longer.
import { z } from 'zod';
import { dayAt } from './local-day.ts';
import { REASONS, type ReasonCode } from './reasons.ts';
import { afterDecision, afterTime, NO_RECORD, type Value, type WorkRecord } from './worth.ts';

const count = z.int().min(0);
const signed = z.int();
const id = z.string().regex(/^[0-9a-f]{64}$/);
const codes = Object.keys(REASONS) as [ReasonCode, ...ReasonCode[]];

/** What came of work in one run at one value: amounts in the run's unit and in shares. */
export const DayWorkSchema = z.strictObject({
  run: id,
  hub: id,
  unit: z.string().max(40),
  handed_in: count,
  verified: count,
  /** Below zero where the device lost more than it earned. */
  shares: signed,
  value_of: z.enum(['share', 'unit']).nullable(),
  micro_per_million: count,
});
export type DayWork = z.infer<typeof DayWorkSchema>;

/** Energy that work took beyond an idle device, at one price; null: no price is set. */
export const DayEnergySchema = z.strictObject({
  how: z.enum(['measured', 'stated']),
  micro_per_kwh: signed.nullable(),
  millijoules: count,
});

export const DayWearSchema = z.strictObject({ micro_per_hour: count, worked_ms: count });

/** What is counted in a day, in the form in which its receipt says it. */
export const DayCountsSchema = z.strictObject({
  working_ms: count,
  slower_ms: count,
  paused: z.array(z.strictObject({ code: z.enum(codes), paused_ms: count })).max(codes.length),
  /** Work whose energy nobody measured or stated. */
  unknown_energy_ms: count,
  energy: z.array(DayEnergySchema).max(200),
  wear: z.array(DayWearSchema).max(50),
  work: z.array(DayWorkSchema).max(100),
});
export type DayCounts = z.infer<typeof DayCountsSchema>;

const OpenDaySchema = z.strictObject({
  /** Distinguishes days of the same name, where the clock was set. */
  key: count,
  day: z.string(),
  from_ms: count,
  to_ms: count,
  counts: DayCountsSchema,
});
export type OpenDay = z.infer<typeof OpenDaySchema>;

const positive = z.number().min(0);
const RunNotesSchema = z.strictObject({
  hub: id,
  unit: z.string().max(40),
  /** Rounds below it are counted. */
  counted_rounds: count,
  lost_shares: count,
  /** Handed in and not decided yet, and in which day. */
  pending: z.array(z.strictObject({ round: count, units: count, key: count })).max(1000),
  record: z.strictObject({
    ...{ worked_ms: positive, handed_in: positive, decided: positive, verified: positive },
    ...{ shares: z.number(), expected_shares: positive },
  }),
  /** Work since it last handed in. */
  open_ms: positive,
  /** What it hands in of a whole round, about. */
  round_units: positive,
  /** What the hub said of the run, oldest first: how its pay for a unit changes. */
  seen: z.array(z.strictObject({ rounds: count, units: count })).max(40),
  shares_per_unit: z.number().min(0).nullable(),
});
export type RunNotes = z.infer<typeof RunNotesSchema>;

export const DayBookSchema = z.strictObject({
  version: z.literal(1),
  next_key: count,
  /** Oldest first; the last one is today. */
  days: z.array(OpenDaySchema).max(50),
  runs: z.record(id, RunNotesSchema),
});
export type DayBook = z.infer<typeof DayBookSchema>;

export const newDayBook = (): DayBook => ({ version: 1, next_key: 1, days: [], runs: {} });

const LIMITS = {
  seen_rounds: 2, // what the run paid in them is taken for what it pays next: workers come and go
  runs: 50,
  wait_for_verdicts_ms: 24 * 3_600_000, // what is decided later counts on the day on which it is
} as const;

/** The day at a moment, begun where it has not begun. */
export function today(book: DayBook, now_ms: number, time_zone?: string): OpenDay {
  const day = dayAt(now_ms, time_zone);
  const last = book.days.at(-1);
  if (last?.day === day) return last;
  const counts: DayCounts = {
    ...{ working_ms: 0, slower_ms: 0, paused: [], unknown_energy_ms: 0, energy: [], wear: [], work: [] },
  };
  const now = Math.max(0, Math.round(now_ms));
  const begun: OpenDay = { key: book.next_key++, day, from_ms: now, to_ms: now, counts };
  book.days.push(begun);
  return begun;
}

/** Days that are over and whose work is decided, or was waited for long enough: their receipts can be written. */
export function closableDays(book: DayBook, now_ms: number): OpenDay[] {
  return book.days.slice(0, -1).filter(({ key, to_ms }) => {
    const waits = Object.values(book.runs).some(({ pending }) => pending.some((one) => one.key === key));
    return !waits || Math.abs(now_ms - to_ms) > LIMITS.wait_for_verdicts_ms;
  });
}

/** Some time in which the device did one thing. */
export interface Spent {
  readonly passed_ms: number;
  readonly doing: 'run' | 'slow-down' | 'pause';
  /** What it paused for, first. */
  readonly code: ReasonCode | null;
  /** The run that it worked in; null where it is not known. */
  readonly run: string | null;
  /** What its work took beyond an idle device; null where nobody can say. */
  readonly energy: { readonly how: 'measured' | 'stated'; readonly joules: number } | null;
  readonly price_per_kwh: number | null;
  readonly wear_per_hour: number;
}

export function spend(book: DayBook, day: OpenDay, now_ms: number, spent: Spent): void {
  const { counts } = day;
  const passed_ms = Math.round(spent.passed_ms);
  day.to_ms = Math.max(0, Math.round(now_ms));
  const worked_ms = spent.doing === 'pause' ? 0 : passed_ms;
  for (const [run, notes] of Object.entries(book.runs)) {
    const own_ms = run === spent.run ? worked_ms : 0;
    notes.record = afterTime(notes.record, { worked_ms: own_ms, passed_ms });
    notes.open_ms += own_ms;
  }
  if (spent.energy && spent.energy.joules > 0) {
    const micro_per_kwh = spent.price_per_kwh === null ? null : microOf(spent.price_per_kwh);
    const { how } = spent.energy;
    const same = { how, micro_per_kwh };
    lineOf(counts.energy, same, { ...same, millijoules: 0 }).millijoules += Math.round(spent.energy.joules * 1000);
  }
  if (spent.doing === 'pause') {
    const code = spent.code ?? 'cannot-tell';
    lineOf(counts.paused, { code }, { code, paused_ms: 0 }).paused_ms += passed_ms;
    return;
  }
  counts[spent.doing === 'run' ? 'working_ms' : 'slower_ms'] += passed_ms;
  if (!spent.energy) counts.unknown_energy_ms += passed_ms;
  const micro_per_hour = microOf(spent.wear_per_hour);
  if (micro_per_hour > 0)
    lineOf(counts.wear, { micro_per_hour }, { micro_per_hour, worked_ms: 0 }).worked_ms += passed_ms;
}

/** Work that the hub has taken into its log. */
export function handIn(
  book: DayBook,
  day: OpenDay,
  run: string,
  work: { round: number; units: number },
  value: Value | null,
): void {
  const notes = book.runs[run];
  if (!notes || notes.pending.some(({ round }) => round === work.round)) return;
  notes.pending.push({ ...work, key: day.key });
  notes.record = { ...notes.record, handed_in: notes.record.handed_in + work.units };
  notes.open_ms = 0;
  notes.round_units = Math.max(work.units, 0.9 * notes.round_units + 0.1 * work.units); // some rounds it did in part
  workLine(day, run, notes, value).handed_in += work.units;
}

/** What a hub tells of a device in a run: what the log holds of its work, and what the run pays. */
export interface RunSeen {
  readonly hub: string;
  readonly run: string;
  readonly unit: string;
  readonly merged_rounds: number;
  /** Of all workers. */
  readonly merged_units: number;
  readonly worker_shares_per_round: number;
  /** What the device earned in the last rounds: units of its merged work, and shares. */
  readonly paid: readonly { readonly round: number; readonly units: number; readonly shares: number }[];
  readonly lost_shares: number;
}

/** The first that is heard of a run, so that its work is counted from here on. */
export function beginRun(
  book: DayBook,
  { hub, run, unit, merged_rounds }: Pick<RunSeen, 'hub' | 'run' | 'unit' | 'merged_rounds'>,
): RunNotes {
  const known = book.runs[run];
  if (known) return known;
  const old = Object.keys(book.runs);
  if (old.length >= LIMITS.runs) delete book.runs[old[0]];
  const notes: RunNotes = {
    ...{ hub, unit, counted_rounds: merged_rounds, lost_shares: 0, pending: [], seen: [], shares_per_unit: null },
    ...{ record: NO_RECORD, round_units: 0, open_ms: 0 },
  };
  book.runs[run] = notes;
  return notes;
}

/** Counts what was decided since the last time: on the day of the work where that is open, or else today. */
export function seeRun(book: DayBook, day: OpenDay, told: RunSeen, value: Value | null): void {
  const isNew = !book.runs[told.run];
  const notes = beginRun(book, told);
  if (isNew) notes.lost_shares = told.lost_shares;
  notes.shares_per_unit = payOf(notes, told);
  const paid = new Map(told.paid.map((one) => [one.round, one]));
  const fresh = told.paid.filter(({ round }) => round >= notes.counted_rounds).map(({ round }) => round);
  const decided = notes.pending.filter(({ round }) => round < told.merged_rounds);
  for (const round of new Set([...decided.map((one) => one.round), ...fresh])) {
    const own = notes.pending.find((one) => one.round === round);
    const { units: verified, shares } = paid.get(round) ?? { units: 0, shares: 0 };
    const line = workLine(book.days.find(({ key }) => key === own?.key) ?? day, told.run, notes, value);
    line.verified += verified;
    line.shares += shares;
    if (own) {
      const { shares_per_unit } = notes;
      notes.record = afterDecision(notes.record, { units: own.units, verified, shares, shares_per_unit });
    }
  }
  notes.pending = notes.pending.filter(({ round }) => round >= told.merged_rounds);
  notes.counted_rounds = Math.max(notes.counted_rounds, told.merged_rounds);
  const lost = told.lost_shares - notes.lost_shares;
  if (lost > 0) workLine(day, told.run, notes, value).shares -= lost;
  notes.lost_shares = told.lost_shares;
}

/**
 * What a unit is paid in a round with this device: what a round pays its workers, by what the others lately did in one, and by what it does
 * itself. A device that has paused would be told too much by the pay of rounds without it.
 */
function payOf(notes: RunNotes, told: RunSeen): number | null {
  const { merged_rounds: rounds, merged_units: units, worker_shares_per_round, paid } = told;
  const last = notes.seen.at(-1);
  if (last?.rounds !== rounds) notes.seen.push({ rounds, units });
  while (notes.seen.length > 2 && notes.seen[1].rounds <= rounds - LIMITS.seen_rounds) notes.seen.shift();
  notes.seen = notes.seen.slice(-40);
  const first = notes.seen[0].rounds < rounds ? notes.seen[0] : { rounds: 0, units: 0 };
  const own = paid.reduce((sum, one) => sum + (one.round >= first.rounds ? one.units : 0), 0);
  const others = Math.max(0, units - first.units - own) / (rounds - first.rounds);
  return others + notes.round_units > 0 ? worker_shares_per_round / (others + notes.round_units) : null;
}

function workLine({ counts }: OpenDay, run: string, { hub, unit }: RunNotes, value: Value | null): DayWork {
  const same = { run, value_of: value?.of ?? null, micro_per_million: value?.micro_per_million ?? 0 };
  return lineOf(counts.work, same, { ...same, hub, unit, handed_in: 0, verified: 0, shares: 0 });
}

/** The line of a list with these fields, made where there is none. */
function lineOf<T extends object>(lines: T[], same: Partial<T>, empty: T): T {
  const found = lines.find((line) => Object.entries(same).every(([name, value]) => line[name as keyof T] === value));
  if (found) return found;
  lines.push(empty);
  return empty;
}

/** A price as people write it, in millionths. */
export const microOf = (amount: number): number => Math.round(amount * 1e6);

/** The record of the run that a device works in; of none, nothing. */
export const recordOf = (book: DayBook, run: string | null): WorkRecord =>
  (run === null ? undefined : book.runs[run]?.record) ?? NO_RECORD;
