// The devices that serve, as people read of them: by region, and each in a few words.
import type { FleetRow } from '../../protocol/fleet.ts';
import { formatCount, nameOf } from '../shell/format.ts';

/** Energy of a token over several devices. */
export interface RegionEnergy {
  readonly joules: number;
  /** Some of it was not measured, but computed from what owners state. */
  readonly stated: boolean;
}

/** Several devices in all. */
export interface FleetSums {
  /** Tokens that they write in a second, as far as they were measured. */
  readonly tokens_per_second: number;
  /** Answers that they write now, and how many more they would take. */
  readonly writing: number;
  readonly places: number;
  /** By the speed of those that tell; null: none does. */
  readonly energy: RegionEnergy | null;
}

export interface Region extends FleetSums {
  readonly name: string;
  /** The name as owners have given it; null: they have given none. */
  readonly said: string | null;
  readonly rows: readonly FleetRow[];
}

const NOWHERE = 'Region not said';

/** The regions, the largest first; devices whose owner has said nothing come last. */
export function regionsOf(rows: readonly FleetRow[]): Region[] {
  const by = Map.groupBy(rows, ({ region }) => (region === null ? NOWHERE : nameOf(region)));
  return [...by]
    .map(([name, those]) => ({ name, said: those[0].region, rows: those, ...sumsOf(those) }))
    .sort((a, b) => Number(a.name === NOWHERE) - Number(b.name === NOWHERE) || b.rows.length - a.rows.length);
}

export const sumsOf = (rows: readonly FleetRow[]): FleetSums => ({
  tokens_per_second: sumOf(rows, ({ tokens_per_second }) => tokens_per_second ?? 0),
  writing: sumOf(rows, ({ writing }) => writing),
  places: sumOf(rows, ({ places }) => places),
  energy: energyOf(rows),
});

const sumOf = (rows: readonly FleetRow[], of: (row: FleetRow) => number): number =>
  rows.reduce((sum, row) => sum + of(row), 0);

/** What a token takes on average, where each device writes as fast as it was measured; null: none tells. */
export function energyOf(rows: readonly FleetRow[]): RegionEnergy | null {
  const telling = rows.filter(({ energy, tokens_per_second }) => energy && tokens_per_second);
  if (telling.length === 0) return null;
  const watts = sumOf(telling, ({ energy, tokens_per_second }) => energy!.joules * tokens_per_second!);
  const joules = watts / sumOf(telling, ({ tokens_per_second }) => tokens_per_second!);
  return { joules, stated: telling.some(({ energy }) => energy!.how === 'stated') };
}

/** "1.3 J measured". */
export const jouleWords = ({ joules, stated }: RegionEnergy): string =>
  `${Number(joules.toPrecision(2))} J ${stated ? 'estimated' : 'measured'}`;

/** "1.3 J a token, measured". */
export const energyWords = (energy: RegionEnergy): string => jouleWords(energy).replace(' J ', ' J a token, ');

/** What a device does and how well, in short facts. */
export function factsOf(row: FleetRow): string[] {
  const { writing, places, tokens_per_second, round_trip_ms, leases, well, judged, refused, chat, doubted } = row;
  const speed = tokens_per_second === null ? 'not measured yet' : `${formatCount(tokens_per_second)} tokens/s`;
  const busy = writing === 0 ? 'idle' : `writes ${writing} ${writing === 1 ? 'answer' : 'answers'}`;
  return [
    busy,
    places === 0 ? 'takes no more' : `takes ${places} more`,
    speed,
    `${Math.round(round_trip_ms)} ms away`,
    leases === 0 ? 'no answer yet' : `${well} of ${leases} went well`,
    judged === 0 ? 'not judged yet' : `${judged - refused} of ${judged} judged answers were right`,
    priceOf(row),
    ...(row.unpaid ? [UNPAID_WORDS[row.unpaid]] : []),
    ...(row.energy ? [energyWords({ joules: row.energy.joules, stated: row.energy.how === 'stated' })] : []),
    ...(chat ? [] : ['goes on with texts alone']),
    ...(doubted ? ['doubted: it was late, broke the form or was judged wrong'] : []),
  ];
}

const UNPAID_WORDS = {
  'nobody-pays': 'gets no requests: it asks to be paid, and this hub charges nobody',
  'not-bound': 'gets no requests: it asks to be paid, and the log does not know whose it is',
} as const;

/** Millionths of a credit for a million tokens, in credits. */
function priceOf({ price_in, price_out }: FleetRow): string {
  if (price_in === 0 && price_out === 0) return 'asks nothing';
  const credits = (micro: number): string => Number((micro / 1e6).toPrecision(3)).toString();
  return `${credits(price_in)} credits a million tokens read, ${credits(price_out)} written`;
}
