// A month of a device in virtual time: tariffs, sun, absences, other workers and slow verdicts, and the owner's own rules that decide in it.
import {
  beginRun,
  closableDays,
  type DayBook,
  handIn,
  newDayBook,
  type OpenDay,
  seeRun,
  spend,
  today,
} from '../peer/owner-policy/day-book.ts';
import { sumsOf } from '../peer/owner-policy/day-receipt.ts';
import { decide, NO_MEMORY } from '../peer/owner-policy/decide.ts';
import { boundsOfDay, dayAt } from '../peer/owner-policy/local-day.ts';
import { type DeviceSettings, readDeviceSettings } from '../peer/owner-policy/settings.ts';
import { nothingSeen } from '../peer/owner-policy/signals.ts';
import { priceAt } from '../peer/owner-policy/tariff.ts';
import { valueSet } from '../peer/owner-policy/worth.ts';
import { worthNow } from '../peer/owner-policy/worth-now.ts';
import { seededRandom } from '../protocol/random.ts';

export const TARIFFS = ['flat', 'night', 'spiky', 'sun'] as const;
export type TariffName = (typeof TARIFFS)[number];

const MINUTE_MS = 60_000;
const ROUND_MINUTES = 10;
const ROUND_MS = ROUND_MINUTES * MINUTE_MS;
const ZONE = 'Europe/Berlin';
/** A month in which the clocks go forward. */
const FIRST_DAY = '2026-03-01';
const RUN = 'a'.repeat(64);
const HUB = 'b'.repeat(64);

const WORLD = {
  shares_per_round: 1_000_000, // of the run, for all workers
  value_per_share: 1.2e-7, // what makes an hour beside sixteen others worth a little more than it costs in the middle of these tariffs
  units_per_minute: 20_000, // of each worker
  watts: 120, // what work takes beyond an idle device
  wear_per_hour: 0.002,
  probation_rounds: 4, // in which a newcomer does a tenth, as the rules of a run have it
} as const;

/** What happens, whatever the device does. */
export interface Month {
  readonly settings: DeviceSettings;
  readonly rounds: readonly MonthRound[];
}

interface MonthRound {
  readonly from_ms: number;
  /** Whether the device is there and its owner does not need it. */
  readonly free: boolean;
  readonly others_units: number;
  /** Of this device, where it works all the time. */
  readonly own_units: number;
  readonly watts: number;
  readonly refused: boolean;
  /** When the round is merged. */
  readonly decided_ms: number;
}

/** Draws a month: the same seed and tariff give the same one. */
export function drawMonth(tariff: TariffName, seed: string, days: number, refused_part = 0): Month {
  const { below } = seededRandom('bench worth', seed, tariff);
  const part = (): number => below(2 ** 32) / 2 ** 32;
  const about = (): number => part() + part() + part() - 1.5; // within 1.5 of nothing, mostly within a half
  const names = daysFrom(FIRST_DAY, days);
  const settings = readDeviceSettings({
    ...{ time_zone: ZONE, currency: 'EUR', only_if_worth: true, value_per_share: WORLD.value_per_share },
    ...{ wear_per_hour: WORLD.wear_per_hour, ...tariffOf(tariff, names, part, about) },
  });
  const from_ms = boundsOfDay(names[0], ZONE)!.from_ms;
  const to_ms = boundsOfDay(names.at(-1)!, ZONE)!.to_ms;
  let [others, speed, watts, away_until_ms, decided_ms, crowd] = [16, 1, 1, 0, 0, 16];
  const rounds: MonthRound[] = [];
  for (let at_ms = from_ms; at_ms < to_ms; at_ms += ROUND_MS) {
    // Workers come and go around a number that itself drifts by the day; speed and power drift by the hour.
    if ((at_ms - from_ms) % (24 * 3_600_000) === 0) crowd = 10 + 12 * part();
    others += 0.04 * (crowd - others) + 0.5 * about();
    others = Math.max(1, others);
    speed += 0.05 * (1 - speed) + 0.02 * about();
    watts += 0.1 * (1 - watts) + 0.02 * about();
    // It is taken along, sleeps or is switched off, and stays away for hours; on some evenings its owner needs it.
    if (at_ms >= away_until_ms && part() < 0.012) away_until_ms = at_ms + (1 + 11 * part()) * 3_600_000;
    const hour = Number(new Intl.DateTimeFormat('en-GB', { hour: '2-digit', timeZone: ZONE }).format(at_ms));
    const evening = hour >= 18 && hour < 23 && part() < 0.5;
    // Most verdicts come within minutes, some after the hub or its validators were away for an hour or more.
    const delay_ms = (part() < 0.007 ? 60 + 120 * part() : 2 + 12 * part()) * MINUTE_MS;
    decided_ms = Math.max(decided_ms + 1000, at_ms + ROUND_MS + delay_ms);
    rounds.push({
      ...{ from_ms: at_ms, free: at_ms >= away_until_ms && !evening, decided_ms, refused: part() < refused_part },
      others_units: Math.round(others * WORLD.units_per_minute * ROUND_MINUTES),
      own_units: Math.round(speed * WORLD.units_per_minute * ROUND_MINUTES),
      watts: WORLD.watts * watts,
    });
  }
  return { settings, rounds };
}

function daysFrom(first: string, days: number): string[] {
  const at_ms = Date.parse(`${first}T12:00:00Z`);
  return Array.from({ length: days }, (_, i) => dayAt(at_ms + i * 24 * 3_600_000, 'UTC'));
}

/** What the owner sets of each tariff. */
function tariffOf(name: TariffName, days: readonly string[], part: () => number, about: () => number): object {
  const week = (...rows: [string, number][]) => ({
    tariff: rows.map(([hours, price_per_kwh]) => ({ hours: [hours], price_per_kwh })),
  });
  if (name === 'flat') return week(['00:00-24:00', 0.3]);
  if (name === 'night') return week(['22:00-06:00', 0.19], ['06:00-22:00', 0.36]);
  const tariff_days = days.map((day) => {
    const { from_ms, to_ms } = boundsOfDay(day, ZONE)!;
    const sunny = part() < 0.6;
    const prices = Array.from({ length: Math.round((to_ms - from_ms) / 3_600_000) }, (_, hour) => {
      const noon = Math.max(0, 1 - Math.abs(hour - 13) / 4);
      // One's own roof: what it gives is free, and on the best hours better used than sent away.
      if (name === 'sun') return sunny && noon > 0.2 ? (noon > 0.8 ? -0.02 : 0) : 0.34;
      const evening = Math.max(0, 1 - Math.abs(hour - 19) / 3);
      const spike = part() < 0.04 ? 0.8 + 2 * part() : 0;
      return Number((0.24 + 0.1 * evening - (sunny ? 0.34 : 0.1) * noon + 0.05 * about() + spike).toFixed(4));
    });
    return { day, prices };
  });
  return { tariff_days };
}

/** What a month came to, in the owner's currency: by the truth of the model, and by the device's receipts. */
export interface MonthResult {
  readonly net: number;
  readonly worst_day: number;
  readonly worked_hours: number;
  readonly pauses: number;
  readonly receipts_net: number;
  readonly worst_receipt: number;
}

const earned = ({ others_units }: MonthRound, units: number): number =>
  units === 0 ? 0 : Math.floor((WORLD.shares_per_round * units) / (units + others_units)) * WORLD.value_per_share;

const costPerMinute = (month: Month, { from_ms, watts }: MonthRound): number =>
  ((watts / 1000) * (priceAt(month.settings, from_ms) ?? 0) + WORLD.wear_per_hour) / 60;

/** A newcomer does a tenth of a round, and rests for the others. */
const partOf = (worked_rounds: number): number => (worked_rounds < WORLD.probation_rounds ? 0.1 : 1);

/** What who knows everything beforehand earns, and has no beginning to make: in each round as many minutes as pay best. */
export function foresee(month: Month): number {
  let net = 0;
  for (const round of month.rounds) {
    if (!round.free || round.refused) continue;
    const cost = costPerMinute(month, round);
    const tries = Array.from(
      { length: ROUND_MINUTES + 1 },
      (_, minutes) => earned(round, Math.round((round.own_units * minutes) / ROUND_MINUTES)) - minutes * cost,
    );
    net += Math.max(...tries);
  }
  return net;
}

/** What the device earns that decides by the rules, minute by minute, of nothing but what it has seen. */
export function live(month: Month): MonthResult {
  const { settings, rounds } = month;
  const device = new SimulatedDevice(settings);
  const truth = new Map<string, number>();
  let [worked_rounds, worked_minutes] = [0, 0];
  for (const [number, round] of rounds.entries()) {
    const part = partOf(worked_rounds);
    let minutes = 0;
    for (let i = 0; i < ROUND_MINUTES; i++) minutes += part * device.minute(round.from_ms + i * MINUTE_MS, round, part);
    const units = Math.round((round.own_units * minutes) / ROUND_MINUTES);
    if (units > 0) {
      worked_rounds++;
      device.handIn(round.from_ms + ROUND_MS - 1, number, units);
    }
    const shares = round.refused ? 0 : Math.floor((WORLD.shares_per_round * units) / (units + round.others_units));
    device.later({ number, round, units: round.refused ? 0 : units, shares });
    const net = shares * WORLD.value_per_share - minutes * costPerMinute(month, round);
    const day = dayAt(round.from_ms, ZONE);
    truth.set(day, (truth.get(day) ?? 0) + net);
    worked_minutes += minutes;
  }
  const nets = [...truth.values()];
  const receipts = device.receipts();
  return {
    ...{ net: sum(nets), worst_day: Math.min(...nets), worked_hours: worked_minutes / 60, pauses: device.pauses },
    ...{ receipts_net: sum(receipts), worst_receipt: Math.min(...receipts) },
  };
}

const sum = (values: readonly number[]): number => values.reduce((all, one) => all + one, 0);
const UNSEEN = nothingSeen('not in this model');

interface Decided {
  readonly number: number;
  readonly round: MonthRound;
  readonly units: number;
  readonly shares: number;
}

/** The device with its book and its rules; what it hears of its work is what a hub would tell by then. */
class SimulatedDevice {
  pauses = 0;
  readonly #settings: DeviceSettings;
  readonly #book: DayBook = newDayBook();
  readonly #waiting: Decided[] = [];
  readonly #paid: { readonly round: number; readonly units: number; readonly shares: number }[] = [];
  readonly #nets: number[] = [];
  #memory = NO_MEMORY;
  #merged_rounds = 0;
  #merged_units = 0;
  #watts: number | null = null;
  #worked = false;

  constructor(settings: DeviceSettings) {
    this.#settings = settings;
    beginRun(this.#book, { hub: HUB, run: RUN, unit: 'tokens', merged_rounds: 0 });
  }

  /** @param part of a minute in which it computes where it may @returns whether it works in this minute */
  minute(now_ms: number, { free, watts }: MonthRound, part: number): 0 | 1 {
    const day = this.#look(now_ms);
    const seen_watts = this.#watts === null ? ('not-yet' as const) : { known: this.#watts };
    const worth = worthNow(this.#book, day, RUN, this.#settings, seen_watts, now_ms);
    const moment = { now_ms, elapsed_ms: now_ms, cores: 4 };
    const orders = { paused: !free, finish: false, snooze_left_ms: 0 };
    const { decision, memory } = decide({ ...UNSEEN, worth }, this.#settings, orders, moment, this.#memory);
    this.#memory = memory;
    const works = decision.do !== 'pause';
    if (this.#worked && !works) this.pauses++;
    this.#worked = works;
    const joules = works ? watts * 60 * part : 0;
    if (works) this.#watts = 0.9 * (this.#watts ?? watts) + 0.1 * watts;
    const price_per_kwh = priceAt(this.#settings, now_ms);
    spend(this.#book, day, now_ms, {
      ...{ passed_ms: MINUTE_MS * (works ? part : 1), doing: decision.do, code: decision.reasons[0]?.code ?? null },
      ...{ run: RUN, energy: { how: 'measured', joules }, price_per_kwh, wear_per_hour: WORLD.wear_per_hour },
    });
    return works ? 1 : 0;
  }

  handIn(now_ms: number, round: number, units: number): void {
    handIn(this.#book, this.#look(now_ms), RUN, { round, units }, valueSet(this.#settings));
  }

  later(decided: Decided): void {
    this.#waiting.push(decided);
  }

  /** Net of each day by its receipt, those that are still open included. */
  receipts(): number[] {
    const last_ms = this.#waiting.at(-1)?.round.decided_ms ?? 0;
    this.#look(last_ms + MINUTE_MS);
    return [...this.#nets, ...this.#book.days.map(netOf)];
  }

  #look(now_ms: number): OpenDay {
    const day = today(this.#book, now_ms, ZONE);
    while (this.#waiting.length > 0 && this.#waiting[0].round.decided_ms <= now_ms) {
      const { number, round, units, shares } = this.#waiting.shift()!;
      this.#merged_rounds = number + 1;
      this.#merged_units += units + round.others_units;
      if (units > 0) this.#paid.push({ round: number, units, shares });
      const told = { hub: HUB, run: RUN, unit: 'tokens', merged_rounds: this.#merged_rounds, lost_shares: 0 };
      const pay = { merged_units: this.#merged_units, worker_shares_per_round: WORLD.shares_per_round };
      seeRun(this.#book, day, { ...told, ...pay, paid: this.#paid.slice(-40) }, valueSet(this.#settings));
    }
    for (const over of closableDays(this.#book, now_ms)) {
      this.#book.days.splice(this.#book.days.indexOf(over), 1);
      this.#nets.push(netOf(over));
    }
    return day;
  }
}

function netOf({ counts }: OpenDay): number {
  const { earned_micro, cost_micro } = sumsOf(counts);
  return (earned_micro - cost_micro) / 1e6;
}
