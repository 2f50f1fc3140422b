// Whether an hour of work is worth it: what it earns by the device's own verified work of late, at its owner's value, beside what it costs now.
import type { Signal, Worth } from './signals.ts';

/** What a device has done in a run, where older work counts less. Estimates come from it; nothing that is owed does. */
export interface WorkRecord {
  readonly worked_ms: number;
  /** In units of the run. */
  readonly handed_in: number;
  /** Of what was handed in: what has been decided, and what of that was verified. */
  readonly decided: number;
  readonly verified: number;
  /** What it was paid for what was decided, and what that would have been by what the run pays for a unit. */
  readonly shares: number;
  readonly expected_shares: number;
}

export const NO_RECORD: WorkRecord = {
  ...{ worked_ms: 0, handed_in: 0, decided: 0, verified: 0, shares: 0, expected_shares: 0 },
};

const HOUR_MS = 3_600_000;
const LIMITS = {
  half_life_worked_ms: 8 * HOUR_MS, // a working day: speed follows what else the device does
  half_life_passed_ms: 7 * 24 * HOUR_MS, // what was long ago says little, whether it was good or bad
  open_discount: 0.1, // of what is not decided yet: it may be paid less, or stay undecided for long
  trial_ms: HOUR_MS, // what a device without a record may work in a day to get one
} as const;

/** The record after more work, or after time without it. */
export function afterTime(
  record: WorkRecord,
  { worked_ms, passed_ms }: { worked_ms: number; passed_ms: number },
): WorkRecord {
  const part = 2 ** -(worked_ms / LIMITS.half_life_worked_ms + passed_ms / LIMITS.half_life_passed_ms);
  const faded = Object.fromEntries(Object.entries(record).map(([name, value]) => [name, value * part]));
  return { ...(faded as unknown as WorkRecord), worked_ms: record.worked_ms * part + worked_ms };
}

/** What was decided of one piece of work that was handed in. */
export function afterDecision(
  record: WorkRecord,
  {
    units,
    verified,
    shares,
    shares_per_unit,
  }: { units: number; verified: number; shares: number; shares_per_unit: number | null },
): WorkRecord {
  return {
    ...record,
    decided: record.decided + units,
    verified: record.verified + verified,
    shares: record.shares + shares,
    expected_shares: record.expected_shares + (shares_per_unit === null ? shares : units * shares_per_unit),
  };
}

/** What the owner says that work is worth, in millionths of the currency for a million shares or units. */
export interface Value {
  readonly of: 'share' | 'unit';
  readonly micro_per_million: number;
}

export function valueSet(settings: {
  readonly value_per_share: number | null;
  readonly value_per_million_units: number | null;
}): Value | null {
  const { value_per_share: share, value_per_million_units: units } = settings;
  if (share !== null) return { of: 'share', micro_per_million: Math.round(share * 1e12) };
  return units === null ? null : { of: 'unit', micro_per_million: Math.round(units * 1e6) };
}

export interface WorthSeen {
  readonly value: Value;
  readonly record: WorkRecord;
  /** What the run pays its workers for a unit of late; null where nobody has told. */
  readonly shares_per_unit: number | null;
  /** What work takes beyond an idle device. `not-yet`: it is measured as soon as there is work. */
  readonly watts: { readonly known: number } | 'not-yet' | { readonly unknown: string };
  readonly price_per_kwh: number | null;
  /** The middle one of the prices of these 24 hours: a device finds out what it earns while electricity is not dear. */
  usual_price_per_kwh(): number | null;
  readonly wear_per_hour: number;
  readonly currency: string | null;
  /** Of this day: how long it worked, what came of it less what it cost, and the units that are not decided yet or not handed in. */
  readonly today: {
    readonly worked_ms: number;
    readonly net_micro: number;
    readonly open_units: number;
    readonly open_ms: number;
  };
}

/** What an hour of work earns and costs now. Pure. */
export function hourOfWork(seen: WorthSeen): Signal<Worth> {
  const { watts, price_per_kwh: price, wear_per_hour: wear } = seen;
  if (price === null) return { unknown: 'the tariff has no price for this hour' };
  // Where electricity costs nothing, nobody need know how much of it work takes.
  const kilowatts = watts === 'not-yet' ? null : 'known' in watts ? watts.known / 1000 : price <= 0 ? 0 : null;
  if (kilowatts === null && watts !== 'not-yet') return { unknown: (watts as { unknown: string }).unknown };
  const costs = (kilowatts ?? 0) * price + wear;
  const trial = kilowatts === null ? null : earningsOf(seen);
  const costs_words = `costs ${moneyWords(costs * 1e6, seen.currency)} now (${((kilowatts ?? 0) * 1000).toFixed(0)} W at ${price} a kWh${wear > 0 ? `, wear ${wear}` : ''})`;
  const known = (earns: number | null, message: string): Signal<Worth> => ({
    known: {
      earns_micro: earns === null ? null : Math.round(earns * 1e6),
      costs_micro: Math.ceil(costs * 1e6),
      at_risk: earns !== null && isAtRisk(seen, earns * 1e6),
      message,
    },
  });
  if (trial !== null)
    return known(trial, `an hour of work earns ${moneyWords(trial * 1e6, seen.currency)} and ${costs_words}`);
  if (seen.today.worked_ms >= LIMITS.trial_ms)
    return known(0, `nothing has come of an hour of work today, and another one ${costs_words}`);
  const usual = seen.usual_price_per_kwh();
  if (usual !== null && price > usual)
    return known(0, `what it earns is not known yet, and is found out when a kWh costs at most ${usual}`);
  return known(null, 'what an hour of work earns is found out now');
}

/**
 * In the owner's currency; null while nobody can know. A device without decided work is taken to be paid as the run pays others, and
 * what is decided outweighs that from the first hour's worth on.
 */
function earningsOf({ value, record, shares_per_unit }: WorthSeen): number | null {
  const { worked_ms, handed_in, decided, verified, shares, expected_shares } = record;
  if (handed_in === 0 || worked_ms === 0) return null;
  const units_per_hour = (handed_in / worked_ms) * HOUR_MS;
  if (value.of === 'unit') {
    const trust = (verified + units_per_hour) / (decided + units_per_hour);
    return units_per_hour * trust * (value.micro_per_million / 1e12);
  }
  const pay = shares_per_unit ?? (decided > 0 ? shares / decided : null);
  if (pay === null) return null;
  const usual = units_per_hour * pay;
  if (usual === 0) return 0;
  return ((shares + usual) / (expected_shares + usual)) * usual * (value.micro_per_million / 1e12);
}

/** Whether the day would end below zero if what is open paid less than it promises. */
function isAtRisk({ record, today }: WorthSeen, earns_micro: number): boolean {
  const open_ms = today.open_ms + (record.handed_in > 0 ? (today.open_units / record.handed_in) * record.worked_ms : 0);
  const open_micro = (open_ms / HOUR_MS) * earns_micro;
  return today.net_micro + open_micro * (1 - LIMITS.open_discount) <= 0;
}

/** 21300 → "0.0213 EUR". Millionths of a currency as people read them. */
export function moneyWords(micro: number, currency: string | null): string {
  const amount = micro / 1e6;
  const digits = Math.abs(amount) >= 1 || amount === 0 ? 2 : Math.abs(amount) >= 0.01 ? 4 : 6;
  return `${amount.toFixed(digits)}${currency === null ? '' : ` ${currency}`}`;
}
