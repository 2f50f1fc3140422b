// A hub that strangers flood: what honest people feel of it, one flood after the other, against the bounds that must hold.
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { BenchError } from './errors.ts';
import { BEGUN, type Counts, type Flood, type Target } from './flood.ts';
import { BOUNDS, type Felt, type HonestPeople, honestPeople } from './flood-honest.ts';
import { FLOODS_OF_BYTES } from './floods-of-bytes.ts';
import { FLOODS_OF_QUESTIONS } from './floods-of-questions.ts';
import { FLOODS_OF_WORDS } from './floods-of-words.ts';
import { startHub } from './hub-process.ts';
import { readLines, table, writeJson } from './report.ts';

/** Nobody floods: what the machine itself costs. */
const QUIET: Flood = {
  name: 'quiet',
  what: 'nobody floods',
  run: (_target, signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve({}))),
};
/** Every flood. Another one is one more row here. */
export const FLOODS: readonly Flood[] = [QUIET, ...FLOODS_OF_BYTES, ...FLOODS_OF_WORDS, ...FLOODS_OF_QUESTIONS];

const HELP = `npm run bench floods [-- OPTIONS]

  --seconds N     how long each flood lasts (default 60)
  --only A,B      these floods: ${FLOODS.map(({ name }) => name).join(', ')}
  --results FILE  keeps each finished flood as a line of JSON and skips those it finds there
  --json FILE     the measurements as JSON; "-" for standard output instead of the table

Each flood gets a hub of its own, a process with everything as it is by default, and comes from this machine, which has no limit by address;
but where programs of this machine may do what strangers may not (fill-runs), the hub is a public one behind a proxy, and everybody has an address.
Beside it somebody asks for /health ten times a second and somebody uploads 1 kB three times a second, each time by a new connection.
Fails unless /health answers within ${BOUNDS.health_p99_ms} ms and uploads within ${BOUNDS.upload_p99_ms} ms (99 of 100), no upload is refused, the hub's memory stays below
${BOUNDS.memory_mb} MB, and all is well again ${BOUNDS.normal_s} s after the flood.`;

interface Row extends Felt {
  readonly flood: string;
  readonly what: string;
  readonly seconds: number;
  readonly counts: Counts;
  /** From the end of the flood until all was well. */
  readonly normal_s: number;
  /** The bounds that were broken, in words. */
  readonly broken: readonly string[];
}

/** Measures and prints. Throws BenchError `usage` for options it does not know, `bound-broken` when a flood is felt too much. */
export async function run(args: string[]): Promise<void> {
  const options = optionsOf(args);
  if (options === null) {
    console.log(HELP);
    return;
  }
  const known = readResults(options);
  const rows: Row[] = [];
  for (const flood of options.floods) {
    let row = known.find((one) => one.flood === flood.name);
    if (!row) {
      row = await flooded(flood, options.seconds);
      if (options.results !== null) appendFileSync(options.results, `${JSON.stringify(row)}\n`);
    }
    rows.push(row);
    if (options.json !== '-') console.error(`${flood.name}: ${rows.at(-1)!.broken.join(', ') || 'all bounds hold'}`);
  }
  if (options.json !== '-') print(rows);
  if (options.json !== null) writeJson(options.json, { bounds: BOUNDS, rows });
  const broken = rows.filter((row) => row.broken.length > 0);
  if (broken.length > 0) {
    const named = broken.map((row) => `${row.flood} (${row.broken.join(', ')})`).join('; ');
    throw new BenchError('bound-broken', `floods that are felt too much: ${named}`);
  }
}

/** Throws BenchError usage for a name that is none. */
export function floodNamed(name: string): Flood {
  const found = FLOODS.find((flood) => flood.name === name);
  if (found) return found;
  const known = FLOODS.map((flood) => flood.name).join(', ');
  throw new BenchError('usage', `floods: there is no flood "${name}"; there are: ${known}`);
}

interface Options {
  readonly seconds: number;
  readonly floods: readonly Flood[];
  readonly results: string | null;
  readonly json: string | null;
}

/** The floods that were measured before, as long as is wanted now. */
function readResults({ results, seconds }: Options): Row[] {
  return readLines<Row>(results).filter((row) => row.seconds === seconds);
}

function optionsOf(args: string[]): Options | null {
  let values: { seconds?: string; only?: string; results?: string; json?: string; help?: boolean };
  try {
    const string = { type: 'string' } as const;
    const help = { type: 'boolean', short: 'h' } as const;
    ({ values } = parseArgs({ args, options: { seconds: string, only: string, results: string, json: string, help } }));
  } catch (error) {
    throw new BenchError('usage', `floods: ${(error as Error).message.split('\n', 1)[0]}`);
  }
  if (values.help) return null;
  const seconds = Number(values.seconds ?? 60);
  if (!(seconds >= 1 && seconds <= 3600)) {
    throw new BenchError('usage', `--seconds: expected a number from 1 to 3600, got "${values.seconds}"`);
  }
  const { only, results = null, json = null } = values;
  return { seconds, floods: only?.split(',').map(floodNamed) ?? FLOODS, results, json };
}

/** One flood on a hub of its own. */
async function flooded(flood: Flood, seconds: number): Promise<Row> {
  const folder = mkdtempSync(join(tmpdir(), 'potluck-bench-floods-'));
  const hub = await floodedHub(folder, flood.is_public ?? false);
  try {
    const { counts, people, failed } = await during(flood, hub, seconds);
    const felt = people.felt();
    const normal_s = await people.normal();
    await people.end();
    const row = { flood: flood.name, what: flood.what, seconds, counts, ...felt, normal_s };
    return { ...row, broken: [...brokenBounds(felt, normal_s), ...failed] };
  } finally {
    await hub.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Flooded {
  readonly counts: Counts;
  /** Those who have felt it from its beginning. */
  readonly people: HonestPeople;
  readonly failed: readonly string[];
}

/** Resolves at the flood's end. One that fails is told as a broken bound: those after it are measured all the same. */
async function during(flood: Flood, { target, pid }: FloodedHub, seconds: number): Promise<Flooded> {
  const worker = new Worker(new URL('./flood-worker.ts', import.meta.url), {
    workerData: { name: flood.name, target },
    execArgv: ['--disable-warning=ExperimentalWarning'],
  });
  const { promise: ended, resolve } = Promise.withResolvers<Omit<Flooded, 'people'>>();
  const { promise: begun, resolve: begin } = Promise.withResolvers<HonestPeople>();
  let timer: NodeJS.Timeout | undefined;
  worker.on('message', (said: Counts | typeof BEGUN) => {
    if (said !== BEGUN) return resolve({ counts: said, failed: [] });
    begin(honestPeople(target, pid));
    timer = setTimeout(() => worker.postMessage('end'), seconds * 1000);
  });
  worker.once('error', ({ message }) => {
    begin(honestPeople(target, pid));
    resolve({ counts: {}, failed: [`the flood failed: ${message}`] });
  });
  const how = await ended;
  clearTimeout(timer);
  await worker.terminate();
  return { ...how, people: await begun };
}

interface FloodedHub {
  readonly target: Target;
  readonly pid: number;
  stop(): Promise<void>;
}

async function floodedHub(folder: string, is_public: boolean): Promise<FloodedHub> {
  const seen = is_public ? ['--public', 'http://hub.example'] : [];
  const { child, listening } = startHub(folder, '--no-page', '--log-level', 'error', ...seen);
  return { target: { ...(await listening), is_public }, pid: child.pid()!, stop: () => child.stop() };
}

/** Which bounds what was felt breaks. */
export function brokenBounds(felt: Felt, normal_s: number): string[] {
  const broken: string[] = [];
  const over = (what: string, value: number, most: number, unit: string): void => {
    if (!(value <= most)) broken.push(`${what} ${value.toFixed(0)} ${unit}, at most ${most}`);
  };
  over('health p99', felt.health.p99_ms, BOUNDS.health_p99_ms, 'ms');
  over('uploads p99', felt.uploads.p99_ms, BOUNDS.upload_p99_ms, 'ms');
  over('refused', felt.health.refused + felt.uploads.refused, 0, 'requests');
  if (felt.memory_mb !== null) over('memory', felt.memory_mb, BOUNDS.memory_mb, 'MB');
  over('back to normal after', normal_s, BOUNDS.normal_s, 's');
  return broken;
}

function print(rows: readonly Row[]): void {
  const ms = (value: number): string => `${value.toFixed(0)} ms`;
  const cells = rows.map(({ what, health, uploads, memory_mb, processor, normal_s, counts }) => [
    ...[what, ms(health.p50_ms), ms(health.p99_ms), ms(uploads.p50_ms), ms(uploads.p99_ms)],
    ...[`${uploads.refused} of ${uploads.count}`, memory_mb === null ? '–' : `${memory_mb.toFixed(0)} MB`],
    processor === null ? '–' : `${(100 * processor).toFixed(0)} %`,
    `${normal_s.toFixed(1)} s`,
    Object.entries(counts)
      .map(([name, count]) => `${count.toLocaleString('en-US')} ${name}`)
      .join(', '),
  ]);
  const headings = [
    'flood',
    'health p50',
    'p99',
    'upload p50',
    'p99',
    'refused',
    'memory',
    'processor',
    'normal after',
    'the strangers',
  ];
  console.log(table(headings, cells));
}
