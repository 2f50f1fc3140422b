// The devices that serve, as people read of them: by region, and each in a few words.
import type { FleetRow } from '../../protocol/fleet.ts';
import { formatCount, nameOf } from '../shell/format.ts';

export interface Region {
  readonly name: string;
  readonly rows: readonly FleetRow[];
  /** Tokens that its devices write in a second, as far as they were measured. */
  readonly tokens_per_second: number;
}

const NOWHERE = 'Region not said';

/** The regions, the largest first; devices whose owner has said nothing come last. */
export function regionsOf(rows: readonly FleetRow[]): Region[] {
  const by = Map.groupBy(rows, ({ region }) => (region === null ? NOWHERE : nameOf(region)));
  return [...by]
    .map(([name, those]) => ({
      name,
      rows: those,
      tokens_per_second: those.reduce((sum, row) => sum + (row.tokens_per_second ?? 0), 0),
    }))
    .sort((a, b) => Number(a.name === NOWHERE) - Number(b.name === NOWHERE) || b.rows.length - a.rows.length);
}

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
    ...(chat ? [] : ['goes on with texts alone']),
    ...(doubted ? ['doubted: it was late, broke the form or was judged wrong'] : []),
  ];
}

/** Millionths of a credit for a million tokens, in credits. */
function priceOf({ price_in, price_out }: FleetRow): string {
  if (price_in === 0 && price_out === 0) return 'asks nothing';
  const credits = (micro: number): string => Number((micro / 1e6).toPrecision(3)).toString();
  return `${credits(price_in)} credits a million tokens read, ${credits(price_out)} written`;
}
