// What a month of a run costs whoever keeps its hub: events, requests and bytes as they follow from the run's settings, at list prices.
//
// Nothing is measured here. Each row is a product of the settings and of constants of this program, so that a price or a setting can be changed.
import { BUCKET_PACE_MS } from '../hub/mirror.ts';
import { TILE_WIDTH, tilesOfTree } from '../ledger/tiles.ts';
import { PART_BYTES } from '../model/tensor-manifest.ts';
import { WIRE_LIMITS } from '../protocol/messages.ts';
import { decimal, type Report, type Values, whole } from './bench.ts';
import { table, wholeNumber } from './report.ts';

export const options = {
  workers: whole('that hand in work each round', { from: 1, to: 1_000_000, usual: 1000 }),
  parameters: whole('of the model, in millions', { from: 1, to: 1_000_000, usual: 100 }),
  round_minutes: decimal('from one merge to the next', { from: 0.1, to: 1440, usual: 10 }),
  judges: whole('of each submission', { from: 1, to: 15, usual: 3 }),
  validators: whole('that follow the run', { from: 1, to: 100_000, usual: 32 }),
  up: decimal('how much smaller than the model in float32 an update is', { from: 1, to: 10_000, usual: 217 }),
  down: decimal('how much smaller than the model in float32 a step is', { from: 1, to: 10_000, usual: 65 }),
  checkpoint_every: whole('rounds', { from: 1, to: 1000, usual: 10 }),
  event_bytes: whole('of an entry of the log', { from: 50, to: 65_535, usual: 400 }),
  evidence_bytes: whole('of what a judge keeps as evidence', { from: 10, to: 1_000_000, usual: 300 }),
  put_ms: whole('that a write to the bucket takes: events that come meanwhile share the next', {
    from: 1,
    to: 10_000,
    usual: 40,
  }),
  event_cpu_us: whole('of processor time that an event takes a hub (bench hub prints it)', {
    from: 1,
    to: 100_000,
    usual: 860,
  }),
  core_month: decimal('dollars for a core of a machine', { from: 0, to: 10_000, usual: 32 }),
};

/** Dollars. */
interface Prices {
  readonly name: string;
  readonly when: string;
  readonly write_million: number;
  readonly read_million: number;
  readonly gb_month: number;
  readonly gb_out: number;
}

/** Without the free quotas and the lower prices of large quantities. */
const PRICES: readonly Prices[] = [
  {
    ...{ name: 'S3', when: 'Amazon S3 Standard, us-east-1, list prices of April 2024' },
    ...{ write_million: 5, read_million: 0.4, gb_month: 0.023, gb_out: 0.09 },
  },
  {
    ...{ name: 'R2', when: 'Cloudflare R2 Standard, list prices of August 2026' },
    ...{ write_million: 4.5, read_million: 0.36, gb_month: 0.015, gb_out: 0 },
  },
];

export const notes = `${PRICES.map(({ when }) => when).join('; ')}. Prices change: look them up, and multiply the requests and bytes, which do not.
Everything is kept for the month (runs made with --keep recent delete most of it). A core at an hourly price of a large provider, 2024.`;

const MONTH_S = 30 * 86_400;
const TICK_S = 5;
const GB = 1e9;

/** One row: so many writes, reads, bytes kept at the end of the month, and bytes sent to devices. */
interface Use {
  readonly what: string;
  readonly writes: number;
  readonly reads: number;
  readonly kept: number;
  readonly sent: number;
}

export async function run(given: Values<typeof options>): Promise<Report> {
  const { events_a_round, events, uses } = monthOf(given);
  const event_s = events / MONTH_S;
  const cores = Math.max(1, Math.ceil((event_s * given.event_cpu_us) / 1e6));
  const bills = PRICES.map((prices) => {
    const rows = uses.map((use) => costOf(use, prices));
    return { ...prices, rows, total: rows.reduce((sum, cost) => sum + cost, 0) };
  });
  const machines = cores * given.core_month;
  const data = { given, events_a_round, events, event_s, cores, machines, uses, bills };
  return { data, text: textOf(data) };
}

function monthOf(given: Values<typeof options>) {
  const { workers, judges, validators, round_minutes, checkpoint_every, event_bytes, put_ms } = given;
  const rounds = Math.floor(MONTH_S / 60 / round_minutes);
  const dense = given.parameters * 1e6 * 4;
  const [work, step, model] = [dense / given.up, dense / given.down, dense / 2];
  const parts = (bytes: number): number => Math.ceil(bytes / PART_BYTES);
  /** A submission, its judges' sealed and open verdicts; a round is opened, drawn and merged, and its shares are stated now and then. */
  const events_a_round = workers * (1 + 2 * judges) + 3 + 1 / checkpoint_every;
  const events = Math.round(rounds * events_a_round + MONTH_S / TICK_S);
  /** The log grows at least with each tick; a batch is on its way at a time. */
  const batches = Math.min(events, (MONTH_S * 1000) / put_ms);
  const heads = Math.min(events, (MONTH_S * 1000) / BUCKET_PACE_MS);
  const head_files = tilesOfTree(events).length + 2;
  const log_bytes = events * event_bytes;
  const works = rounds * workers;
  /** Small ones travel in their events, and the hub puts them. */
  const checkpoints = Math.floor(rounds / checkpoint_every);
  const readers = workers + validators;
  const uses: Use[] = [
    { what: 'log: batches of the journal', writes: batches, reads: 0, kept: log_bytes, sent: 0 },
    {
      what: 'log: files for readers',
      ...{ writes: heads * head_files + (2 * events) / TILE_WIDTH, reads: heads, kept: log_bytes, sent: 0 },
    },
    {
      what: `work${work <= WIRE_LIMITS.enclosed_bytes ? ', in its event' : ''}`,
      ...{ writes: works, reads: works * judges, kept: works * work, sent: works * judges * work },
    },
    {
      what: "judges' evidence",
      ...{ writes: works * judges, reads: 0, kept: works * judges * given.evidence_bytes, sent: 0 },
    },
    { what: 'bundles of merged work', writes: rounds, reads: 0, kept: works * work, sent: 0 },
    {
      what: 'steps, to all who follow',
      ...{ writes: rounds, reads: rounds * readers, kept: rounds * step, sent: rounds * readers * step },
    },
    { what: 'checkpoints', writes: checkpoints * parts(model), reads: 0, kept: checkpoints * model, sent: 0 },
  ];
  return { events_a_round, events, uses };
}

/** What is kept grows evenly, so that half of it is paid for in its first month. */
const costOf = ({ writes, reads, kept, sent }: Use, prices: Prices): number =>
  (writes * prices.write_million + reads * prices.read_million) / 1e6 +
  ((kept / 2) * prices.gb_month + sent * prices.gb_out) / GB;

function textOf(data: {
  readonly given: Values<typeof options>;
  readonly events: number;
  readonly event_s: number;
  readonly cores: number;
  readonly machines: number;
  readonly uses: readonly Use[];
  readonly bills: readonly (Prices & { readonly rows: readonly number[]; readonly total: number })[];
}): string {
  const { given, uses, bills } = data;
  const amount = (value: number): string => (value >= 100 || value === 0 ? wholeNumber(value) : value.toFixed(2));
  const rows = uses.map(({ what, writes, reads, kept, sent }, i) => [
    ...[what, amount(writes / 1e6), amount(reads / 1e6), amount(kept / GB), amount(sent / GB)],
    ...bills.map(({ rows }) => amount(rows[i])),
  ]);
  rows.push(['together', '', '', '', '', ...bills.map(({ total }) => amount(total))]);
  const headings = ['a month', 'M writes', 'M reads', 'GB kept', 'GB sent', ...bills.map(({ name }) => `$ ${name}`)];
  const { workers, parameters, round_minutes, judges } = given;
  return [
    `${wholeNumber(workers)} workers, ${wholeNumber(parameters)} million parameters, rounds of ${round_minutes} minutes, ${judges} judges`,
    table(headings, rows),
    `${wholeNumber(data.events)} events, ${data.event_s.toFixed(1)} a second on average: ${data.cores} core${data.cores === 1 ? '' : 's'} of a hub, $${wholeNumber(data.machines)}.
${bills.map(({ name, when }) => `${name}: ${when}.`).join(' ')}`,
  ].join('\n\n');
}
