// The fleet of a hub of several gateways as people see it: each has measured its own answers, and all know the same devices. Pure.
import { FLEET_LIMIT_ROWS, type Fleet, type FleetRow, type PoolDay } from '../../protocol/fleet.ts';

/** One fleet of all, of which each gateway has told its own. Without any nobody serves. */
export function wholeFleet(fleets: readonly Fleet[]): Fleet {
  const rows = new Map<string, FleetRow>();
  for (const row of fleets.flatMap((fleet) => fleet.rows)) {
    const key = `${row.device} ${row.model} ${row.quantisation}`;
    const before = rows.get(key);
    rows.set(key, before ? joined(before, row) : row);
  }
  const busiest_first = [...rows.values()].sort((a, b) => b.writing - a.writing || (a.device < b.device ? -1 : 1));
  return {
    devices: Math.max(0, ...fleets.map(({ devices }) => devices)),
    answers: sum(fleets.map(({ answers }) => answers)),
    rows: busiest_first.slice(0, FLEET_LIMIT_ROWS),
    day: wholeDay(fleets.map(({ day }) => day)),
  };
}

/** What was counted is added; how fast it is says who knows it better; a doubt of one is a doubt. */
function joined(a: FleetRow, b: FleetRow): FleetRow {
  const [known, other] = a.leases >= b.leases ? [a, b] : [b, a];
  return {
    ...known,
    tokens_per_second: known.tokens_per_second ?? other.tokens_per_second,
    places: Math.min(a.places, b.places),
    writing: a.writing + b.writing,
    leases: a.leases + b.leases,
    well: a.well + b.well,
    judged: a.judged + b.judged,
    refused: a.refused + b.refused,
    doubted: a.doubted || b.doubted,
  };
}

/** Bucket by bucket, the last ones together: of gateways that began at other times. */
function wholeDay(days: readonly PoolDay[]): PoolDay {
  const of = (name: keyof PoolDay): number[] => {
    const length = Math.max(0, ...days.map((day) => day[name].length));
    return Array.from({ length }, (_, i) => sum(days.map((day) => day[name].at(i - length) ?? 0)));
  };
  return { tokens: of('tokens'), answers: of('answers'), no_room: of('no_room'), waiting: of('waiting') };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);
