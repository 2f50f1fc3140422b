// Where the pool's devices are: a plain map on which each region that an owner has named is a circle with a number, and the table that explains it.
import { countOf, formatCount } from '../shell/format.ts';
import { jouleWords, type Region } from './fleet-words.ts';
import { placeOf } from './places.ts';

/** Coastlines as a child would draw them: degrees east and north from point to point. */
const LAND = [
  '-168 66 -156 71 -128 70 -95 72 -82 68 -94 59 -80 52 -78 62 -64 59 -56 52 -66 44 -70 42 -75 36 -81 31 -80 25 -83 30 -97 28 -97 20 -91 18 -87 21 -88 16 -83 10 -78 8 -85 11 -94 16 -105 20 -113 31 -117 33 -124 40 -124 48 -133 56 -145 60 -160 57',
  '-45 60 -22 70 -20 79 -58 79 -68 76 -53 67',
  '-78 8 -72 12 -62 10 -51 4 -50 0 -35 -6 -39 -14 -41 -22 -48 -27 -54 -34 -62 -39 -65 -45 -69 -54 -75 -48 -73 -37 -70 -20 -76 -14 -81 -5',
  '-9 37 -9 43 -2 43 -1 47 -5 48 2 51 8 54 9 57 12 54 20 55 23 58 30 60 22 60 22 65 17 62 17 57 13 56 11 59 6 58 5 62 14 68 25 71 40 67 60 69 68 73 80 73 104 78 113 74 140 73 160 70 180 69 178 63 163 60 156 51 156 57 143 59 136 55 141 52 135 44 129 41 129 35 126 35 125 39 121 40 122 31 118 24 108 21 109 12 105 9 100 13 104 2 98 8 98 16 94 16 91 22 87 21 80 15 80 9 77 8 73 17 72 21 67 25 57 26 50 30 48 30 52 24 60 22 55 17 44 13 39 21 35 28 34 32 36 36 27 37 26 40 23 37 20 40 14 45 18 40 16 38 10 44 3 42 0 39 -5 36',
  '-6 35 10 37 11 33 20 31 32 31 35 27 43 12 51 12 41 -2 40 -11 35 -20 33 -26 27 -34 18 -34 12 -18 13 -8 9 0 9 4 4 6 -8 4 -17 14 -17 21 -10 30',
  '49 -12 50 -16 47 -25 44 -22',
  '-5 50 1 51 0 53 -2 57 -5 58 -3 54',
  '-10 52 -6 52 -6 55',
  '-24 65 -14 65 -18 63',
  '130 32 135 34 140 35 142 40 145 44 141 45 140 40 136 36',
  '95 5 106 -6 102 -4',
  '109 1 117 7 119 1 114 -4',
  '105 -7 114 -8 106 -8',
  '131 -1 141 -3 150 -10 138 -8',
  '120 18 126 7 122 9',
  '114 -22 122 -18 131 -12 136 -12 136 -16 141 -12 146 -19 153 -26 150 -37 140 -38 135 -33 125 -33 115 -34',
  '173 -35 178 -38 168 -46 172 -41',
]
  .map((line) => `M${line.replace(/(-?\d+) (-?\d+)/g, (_, east, north) => `${east} ${-north}`)}z`)
  .join('');

/** In degrees; a region of many tokens a second is larger, within limits at which numbers can be read and neighbours told apart. */
const RADIUS = { least: 6, most: 9 } as const;

const radiusOf = ({ tokens_per_second }: Region): number =>
  Math.min(RADIUS.most, RADIUS.least + Math.sqrt(tokens_per_second) / 5);

export function RegionMap({ regions }: { regions: readonly Region[] }) {
  const placed = regions.map((region) => ({ region, place: region.said === null ? null : placeOf(region.said) }));
  const elsewhere = placed.some(({ place }) => place === null);
  return (
    <section aria-labelledby="where-title">
      <h2 id="where-title">Where they are</h2>
      <svg viewBox="-172 -82 356 140" style={{ width: '100%', height: 'auto' }} aria-hidden="true">
        <path d={LAND} fill="var(--well)" stroke="var(--line)" stroke-width="1" stroke-linejoin="round" />
        {placed.map(
          ({ region, place }, i) =>
            place && (
              <g key={region.name} transform={`translate(${place.east} ${-place.north})`}>
                <circle r={radiusOf(region)} fill="var(--ink)" stroke="var(--bg)" stroke-width="1.5" />
                <text y="3.6" text-anchor="middle" font-size="10.5" font-weight="600" fill="var(--bg)">
                  {i + 1}
                </text>
              </g>
            ),
        )}
      </svg>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard */}
      <section style={{ overflowX: 'auto' }} tabIndex={0} aria-label="Regions in figures">
        <table style={{ width: '100%', borderCollapse: 'collapse', fontSize: 'var(--small)' }}>
          <thead>
            <tr>
              {['', 'Region', 'Offers', 'Tokens/s', 'Writing', 'Takes', 'A token takes'].map((words, i) => (
                <th key={words} scope="col" class="fine" style={cell(i)}>
                  {words || <span class="visually-hidden">Number on the map</span>}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {placed.map(({ region, place }, i) => (
              <tr key={region.name}>
                <td style={cell(0)}>{place ? i + 1 : '–'}</td>
                <th scope="row" style={cell(1)}>
                  {region.name}
                </th>
                <td style={cell(2)}>{region.rows.length}</td>
                <td style={cell(3)}>{formatCount(region.tokens_per_second)}</td>
                <td style={cell(4)}>{region.writing}</td>
                <td style={cell(5)}>{region.places}</td>
                <td style={cell(6)}>{region.energy ? jouleWords(region.energy) : '–'}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      <p class="fine">
        {countOf(regions.length, 'region')}, as the devices' owners name them; nobody verifies where a device is.
        {elsewhere &&
          ' One without a number has no place on the map: its name is no code of a country or a part of the world.'}
      </p>
    </section>
  );
}

const cell = (i: number) =>
  ({
    textAlign: i < 2 ? 'left' : 'right',
    padding: i === 0 ? '0.3rem 0.6rem 0.3rem 0' : '0.3rem 0.3rem',
    whiteSpace: 'nowrap',
    borderBottom: '1px solid var(--line)',
  }) as const;
