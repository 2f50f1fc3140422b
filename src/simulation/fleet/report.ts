// What a simulated fleet comes to, as tables for people.
import { HOURS_A_DAY } from './fleet.ts';
import { type FleetResult, TIMES } from './result.ts';

const PREFIXES = ['', 'k', 'M', 'G', 'T', 'P', 'E'] as const;
const GRAMS = ['kg', 't', 'kt', 'Mt'] as const;

/** A number with three digits, as people write it. */
export function short(value: number, unit = ''): string {
  const step = value === 0 ? 0 : Math.floor(Math.log10(Math.abs(value)) / 3 + 1e-9);
  const at = Math.max(0, Math.min(PREFIXES.length - 1, step));
  const scaled = value / 1000 ** at;
  const text = Math.abs(scaled) < 0.01 && scaled !== 0 ? scaled.toExponential(1) : scaled.toPrecision(3);
  const plain = text.includes('e') ? text : String(Number(text));
  return `${plain}${PREFIXES[at] || unit ? ' ' : ''}${PREFIXES[at]}${unit}`.trim();
}

/** Seconds, which nobody counts in thousands. */
const seconds = (value: number): string => `${value.toFixed(value < 10 ? 1 : 0)} s`;

const percent = (part: number): string => `${(100 * part).toFixed(part !== 0 && Math.abs(part) < 0.1 ? 2 : 1)} %`;
const money = (eur: number): string =>
  Math.abs(eur) >= 1e6 ? short(eur, '€') : `${eur.toFixed(Math.abs(eur) < 10 ? 3 : 0)} €`;
const mass = (kg: number): string => {
  const at = Math.max(0, Math.min(GRAMS.length - 1, Math.floor(Math.log10(Math.max(1, Math.abs(kg))) / 3)));
  return `${Number((kg / 1000 ** at).toPrecision(3))} ${GRAMS[at]}`;
};

/** Rows under their headings; the first column to the left, the others to the right. */
function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = headings.map((heading, i) => Math.max(heading.length, ...rows.map((row) => row[i].length)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
      .join('  ')
      .trimEnd();
  return [line(headings), widths.map((width) => '─'.repeat(width)).join('  '), ...rows.map(line)].join('\n');
}

/** Label and value in two columns. */
function list(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([label]) => label.length));
  return rows.map(([label, value]) => `${label.padEnd(width)}  ${value}`).join('\n');
}

/** The whole report. */
export function reportOf(result: FleetResult): string {
  const parts = [
    `${result.fleet}: ${result.about}`,
    listOfWhole(result),
    `By hour of the day in UTC, means:\n${byHour(result)}`,
    `By class:\n${byClass(result)}`,
    `What a device does with the time in which it is lent:\n${timesByClass(result)}`,
    listOfNeeds(result),
  ];
  if (result.beyond_limits.length > 0) {
    parts.push(`Beyond what the product takes today:\n${result.beyond_limits.map((line) => `  ${line}`).join('\n')}`);
  }
  return parts.join('\n\n');
}

function listOfWhole({ tokens, rounds, loss, energy, days, finished_after_days, money: paid }: FleetResult): string {
  const finished =
    finished_after_days === null
      ? `not finished after ${days.toFixed(0)} days`
      : `finished after ${finished_after_days.toFixed(1)} days`;
  const guess = loss.guesses.length > 0 ? `; a guess: ${loss.guesses.join('; ')}` : '';
  return list([
    ['learned from', `${short(tokens.merged, ' tokens')}, ${short(tokens.per_s, ' tokens/s')}; ${finished}`],
    ['lost by those who left', `${percent(rounds.lost_share)} of their rounds, ${short(tokens.lost, ' tokens')}`],
    ['too slow for the box', `${percent(rounds.too_slow_share)} of the rounds of workers`],
    ['not judged in time', `${percent(1 - rounds.judged_share)} of the works`],
    [
      'beyond the critical batch',
      `${percent(tokens.merged > 0 ? tokens.beyond_critical / tokens.merged : 0)} of the tokens are wasted: ${short(tokens.batch)} in a step, where ${short(tokens.critical_batch)} are critical`,
    ],
    [
      'rounds',
      `${short(rounds.count)} a run, of ${seconds(rounds.mean_s)}, with ${short(rounds.handed_in)} works of ${short(rounds.workers)} workers`,
    ],
    ['loss', `${loss.loss.toFixed(3)} (${loss.low.toFixed(3)} to ${loss.high.toFixed(3)}) nats a token${guess}`],
    ['energy', `${short(energy.kwh * 1000, 'Wh')}, ${money(energy.eur)}, ${mass(energy.kg_co2)} of CO2`],
    [
      'for 10^9 tokens',
      `${short(energy.kwh_per_billion_tokens * 1000, 'Wh')}, ${money(energy.eur_per_billion_tokens)}, ${mass(energy.kg_co2_per_billion_tokens)} of CO2`,
    ],
    ...(tokens.asked > 0
      ? ([
          [
            'served',
            `${short(tokens.served, ' tokens')}, ${percent(tokens.served / tokens.asked)} of what was asked for`,
          ],
        ] as const)
      : []),
    ...(paid.paid + paid.serving > 0
      ? ([
          [
            'paid',
            `${money(paid.paid)} for training (workers ${money(paid.workers)}, judges ${money(paid.validators)}, owner ${money(paid.owner)}, nobody ${money(paid.unearned)}), ${money(paid.serving)} for answers`,
          ],
        ] as const)
      : []),
  ]);
}

/** Means over the days, three hours a row. */
function byHour({ hours }: FleetResult): string {
  const EVERY = 3;
  const mean = (values: readonly number[], hour: number): number => {
    const of = values.filter((_, i) => {
      const at = i % HOURS_A_DAY;
      return at >= hour && at < hour + EVERY;
    });
    return of.length > 0 ? of.reduce((sum, value) => sum + value, 0) / of.length : 0;
  };
  const rows = Array.from({ length: HOURS_A_DAY / EVERY }, (_, i) => {
    const at = (values: readonly number[]): number => mean(values, i * EVERY);
    return [
      `${String(i * EVERY).padStart(2, '0')}–${String((i + 1) * EVERY).padStart(2, '0')}`,
      ...[short(at(hours.present)), short(at(hours.tokens_per_s)), short(at(hours.useful_tokens_per_s))],
      ...[short(at(hours.served_tokens_per_s)), short(at(hours.kw) * 1000, 'W'), seconds(at(hours.round_s))],
      ...[short(at(hours.events_per_s)), short(at(hours.hub_bytes_per_s), 'B/s')],
    ];
  });
  return table(['hour', 'present', 'tokens/s', 'useful', 'served', 'power', 'round', 'events/s', 'at the hub'], rows);
}

const byClass = ({ classes }: FleetResult): string =>
  table(
    ['class', 'devices', 'present', 'tokens', 'energy', 'electricity', 'CO2', 'income', 'net', 'net a device and day'],
    classes.map((one) => [
      ...[
        one.name,
        short(one.devices),
        short(one.present),
        short(one.tokens + one.served_tokens),
        short(one.kwh * 1000, 'Wh'),
      ],
      ...[money(one.eur_electricity), mass(one.kg_co2), money(one.eur_income), money(one.eur_net)],
      `${one.eur_net_a_device_day.toFixed(3)} €`,
    ]),
  );

const timesByClass = ({ classes }: FleetResult): string =>
  table(
    ['class', ...TIMES.map((name) => name.replace('_', ' '))],
    classes.map(({ name, time_shares }) => [name, ...TIMES.map((of) => percent(time_shares[of]))]),
  );

function listOfNeeds({ bytes, bytes_a_worker_round: each, needs, judging, days }: FleetResult): string {
  const ratio = (size: number): string => (size > 0 ? ` (${(each.dense / size).toFixed(1)}x less than dense)` : '');
  const caught =
    judging.caught_share === null
      ? 'nobody lies'
      : `${percent(judging.lying_part)} of liars' works are lies, ${percent(judging.caught_share)} of those are refused, a liar is paid ${percent(judging.liars_pay ?? 0)} of an honest one`;
  const a_day = (size: number): string => short(size / Math.max(days, 1e-9), 'B a day');
  return list([
    [
      'a worker, a round',
      `${short(each.up, 'B')} up${ratio(each.up)}, ${short(each.down, 'B')} down${ratio(each.down)}`,
    ],
    [
      'bytes in',
      `${a_day(bytes.up)}: hub ${a_day(bytes.hub_in)}, store ${a_day(bytes.store_in)}, between workers ${a_day(bytes.between)}`,
    ],
    ['bytes out', `${a_day(bytes.down)}: hub ${a_day(bytes.hub_out)}, caches ${a_day(bytes.cdn_out)}`],
    [
      'events',
      `${short(needs.events_a_round)} a round, ${needs.events_a_work.toFixed(2)} a work, at most ${short(needs.events_per_s)}/s of all runs`,
    ],
    [
      'needs',
      `${needs.front_ends} front ends, ${needs.logs} logs, ${short(judging.judges_needed)} judges at once (here: ${short(judging.judges_here)})`,
    ],
    [
      'judging',
      `${judging.repeats.toFixed(2)} repetitions and ${judging.looks.toFixed(2)} looks a work, ${percent(judging.appeals)} appealed; ${caught}`,
    ],
    ['honest work refused', percent(judging.honest_refused_share)],
  ]);
}
