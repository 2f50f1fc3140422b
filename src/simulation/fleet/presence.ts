// How many devices of a class are there in an hour, how many come and go in it, and which of them answer requests instead of training.
import { type DeviceClass, type Fleet, HOURS_A_DAY } from './fleet.ts';

const WORKING_DAYS = 5;
const DAYS_A_WEEK = 7;
const HOUR_S = 3600;

/** The devices of a class in one hour; all are means, and need not be whole. */
export interface Crowd {
  /** At the hour's beginning, and how many of them serve during it. */
  readonly present: number;
  readonly serving: number;
  /** Tokens a second that they answer with. */
  readonly serves_tokens_per_s: number;
  /** How many come and go in the hour. */
  readonly arrivals: number;
  readonly departures: number;
  /** How many of those leave beyond the usual end of stays: at eight in the morning all commuters want their cars. */
  readonly sudden: number;
}

/** The size of the fleet in an hour. */
export function devicesAt({ devices, series }: Pick<Fleet, 'devices' | 'series'>, hour: number): number {
  if (!series) return devices;
  return series.findLast(({ day }) => day * HOURS_A_DAY <= hour)?.devices ?? 0;
}

/** The part of a class that is lent in an hour of UTC; hour 0 is Monday midnight. Mean over its time zones. */
export function lentShare({ zones, available }: DeviceClass, hour: number): number {
  let sum = 0;
  for (const { utc_h, share } of zones) {
    const local = hour + utc_h;
    const day = Math.floor(local / HOURS_A_DAY);
    const weekday = ((day % DAYS_A_WEEK) + DAYS_A_WEEK) % DAYS_A_WEEK;
    const of = weekday < WORKING_DAYS ? available.weekday : available.weekend;
    sum += share * of[local - day * HOURS_A_DAY];
  }
  return sum;
}

/** What a class pays or emits for a kWh in an hour of UTC: the mean over its zones of what their local hour says. */
export function atLocalHour(
  value: number | readonly number[],
  { zones }: Pick<DeviceClass, 'zones'>,
  hour: number,
): number {
  if (typeof value === 'number') return value;
  return zones.reduce((sum, { utc_h, share }) => {
    const local = (((hour + utc_h) % HOURS_A_DAY) + HOURS_A_DAY) % HOURS_A_DAY;
    return sum + share * value[local];
  }, 0);
}

/** All classes in one hour. */
export function crowdsAt(fleet: Fleet, hour: number): Crowd[] {
  const { classes, serving } = fleet;
  const lent = classes.map((one) => devicesAt(fleet, hour) * one.share * lentShare(one, hour));
  const rates = classes.map(({ serves_tokens_per_s = 0 }) => serves_tokens_per_s);
  const most = lent.reduce((sum, present, i) => sum + present * rates[i], 0);
  const asked = serving?.tokens_per_s[hour % HOURS_A_DAY] ?? 0;
  const busy = most > 0 ? Math.min(1, asked / most) : 0;
  return classes.map((one, i) => {
    const present = lent[i];
    const before = devicesAt(fleet, hour - 1) * one.share * lentShare(one, hour - 1);
    const ends = (present * HOUR_S) / (one.session.mean_h * HOUR_S);
    const departures = Math.max(ends, before - present);
    return {
      present,
      serving: rates[i] > 0 ? present * busy : 0,
      serves_tokens_per_s: present * rates[i] * busy,
      arrivals: Math.max(0, departures + present - before),
      departures,
      sudden: departures - ends,
    };
  });
}
